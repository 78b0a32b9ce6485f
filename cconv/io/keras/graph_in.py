"""The model of a Keras file as a configuration of cconv: rows of layers, graphs, nested models."""

from collections.abc import Iterator, Mapping
from typing import Any

from cconv.io.keras.graph_out import FIRST_USE
from cconv.io.keras.layers_in import OTHERS, class_of, kind_of, layer_config
from cconv.io.keras.objects import DTYPES, name_of_dtype, of_channels
from cconv.io.keras.operators import Tensor, is_operator, steps_of
from cconv.io.keras.problems import Problems, shown
from cconv.layers.symbolic import IMAGE
from cconv.seeds import new_seed

Config = dict[str, Any]
Key = tuple[str, int, int]  # a tensor: name of its layer, number of the use, number of the output

ROWS = ("Sequential",)
GRAPHS = ("Functional", "Model")
DEEPEST = 8  # limit of nested models
NOTHING = ("Identity", "ActivityRegularization")  # layers that return their input
# Layers that Keras calls with training=True if the user does not say so. Its `predict` overrides it.
TRAINING_UNLESS_SAID = (
    *("CenterCrop", "CutMix", "MixUp", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomErasing"),
    *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "Resizing"),
)


class Translation:
    """Translates the models of one file.

    Parameters
    ----------
    problems : Problems
        Collects what cconv lacks.
    input_shape : tuple of int, optional
        Input shape of the outermost model, instead of the file's.
    seed : int, optional
        Seed of the models; by default a new one.
    first_use : int
        Number that a graph's outputs give the first use of a nested graph: see `graph_out.FIRST_USE`.

    Attributes
    ----------
    layers : dict of str to list of (str, str)
        For each model, by its path, the classes and names of its layers in Keras' order.
    """

    def __init__(
        self, problems: Problems, input_shape: Any = None, seed: Any = None, first_use: int = FIRST_USE
    ) -> None:
        self.problems = problems
        self.first_use = first_use
        self.seed = new_seed() if seed is None else seed
        self.input_shape = input_shape
        self.layers: dict[str, list[tuple[str, str]]] = {}
        self.dtype: str | None = None
        self._first = False  # whether a layer has channels_first images

    def model(self, entry: Mapping[str, Any], path: str = "", depth: int = 0) -> tuple[str, Config]:
        """Return the class and the configuration of a model."""
        name, config = entry.get("class_name"), entry.get("config")
        if depth > DEEPEST:
            raise ValueError(f"models must be nested at most {DEEPEST} deep")
        if name in ROWS:
            return "Sequential", self._row(config, path, depth)
        if name in GRAPHS and isinstance(config, Mapping):
            return "Model", self._graph(config, path, depth)
        raise ValueError(f"its model must be a Sequential or a Functional one, got {shown(name)}")

    def _is_model(self, entry: Mapping[str, Any]) -> bool:
        return entry.get("class_name") in (*ROWS, *GRAPHS)

    def _settle(self, config: Mapping[str, Any], entries: list[Any]) -> None:
        """Take the dtype of the first layer that has one as the dtype of all layers."""
        inner = [entry["config"] for entry in entries if isinstance(entry.get("config"), Mapping)]
        self._first = self._first or any(each.get("data_format") == "channels_first" for each in inner)
        if self.dtype is not None:
            return
        policies = [config.get("dtype")] + [
            entry["config"].get("dtype")
            for entry in entries
            if isinstance(entry.get("config"), Mapping) and class_of(entry) != "InputLayer"
        ]
        named = [name_of_dtype(policy) for policy in policies if policy is not None]
        self.dtype = named[0] if named and named[0] in DTYPES else "float32"

    def _common(self, config: Mapping[str, Any], default: str) -> Config:
        name, trainable = config.get("name"), config.get("trainable", True)
        return {
            "name": name if isinstance(name, str) and name else default,
            "seed": self.seed,
            "dtype": self.dtype,
            "data_format": None,
            "trainable": trainable is not False,
        }

    def _item(
        self, entry: Mapping[str, Any], name: str, path: str, depth: int, given: Any = None
    ) -> Config | None:
        """Return the configuration's entry for a layer, or for a model as a layer.

        `given` is the shape of its input, if the graph has it; else the layer may have it.
        """
        if self._is_model(entry):
            kind, config = self.model(entry, f"{path}{name}/", depth + 1)
            return {"class_name": kind, "config": config, "name": name}
        item = layer_config(entry, name, self.dtype, self.problems)
        if self._first and item is not None:
            built = entry.get("build_config")
            shape = built.get("input_shape", given) if isinstance(built, Mapping) else given
            what = of_channels(item["class_name"], item["config"])
            if what and isinstance(shape, list) and len(shape) == 1 + IMAGE:
                self.problems.add(repr(name), f"{what} of images whose channels come first")
        return item

    # --- rows ---------------------------------------------------------------------------------

    def _row(self, given: Any, path: str, depth: int) -> Config:
        config: Mapping[str, Any] = {"layers": given} if isinstance(given, list) else given  # Keras 2.0
        entries = _entries(config, "layers")
        self._settle(config, entries)
        found = self._common(config, "sequential")
        shape = self.input_shape if not path else None
        items, listed = [], []
        for number, entry in enumerate(entries):
            inner = entry["config"] if isinstance(entry["config"], Mapping) else {}
            name = _name(entry, f"layer {number}")
            if shape is None and not number and class_of(entry) != "InputLayer":
                shape = _without_batch(inner.get("batch_input_shape"))
            if class_of(entry) == "InputLayer":
                if shape is None:
                    shape = _without_batch(inner.get("batch_shape", inner.get("batch_input_shape")))
                listed.append(("InputLayer", name))
                continue
            listed.append((class_of(entry), name))
            if class_of(entry) in NOTHING:
                continue
            item = self._item(entry, name, path, depth)
            if item is not None:
                items.append(item)
        if shape is None:
            shape = _without_batch(config.get("build_input_shape"))
        self.layers[path] = listed
        return {**found, "input_shape": _sizes(shape, depth), "layers": items}

    # --- graphs -------------------------------------------------------------------------------

    def _graph(self, config: Mapping[str, Any], path: str, depth: int) -> Config:
        entries = _entries(config, "layers")
        self._settle(config, entries)
        names = [_name(entry, f"layer {number}") for number, entry in enumerate(entries)]
        if len(set(names)) < len(names):
            raise ValueError("its layers must each have a name of their own")
        self.layers[path] = [
            (class_of(entry), name)
            for entry, name in zip(entries, names, strict=True)
            if not is_operator(entry) or entry.get("class_name") == "CustomScaleLayer"
        ]
        found = self._common(config, "functional")
        graph = _Graph(self, dict(zip(names, entries, strict=True)), path, depth)
        in_form, in_names, in_keys = _ends("input_layers", config.get("input_layers"))
        out_form, out_names, out_keys = _ends("output_layers", config.get("output_layers"))
        shapes = graph.begin([key[0] for key in in_keys])
        graph.run()
        outputs = [graph.end(key) for key in out_keys]
        return {
            **found,
            "input_shape": shapes,
            "inputs": {"names": in_names, "form": in_form, "layers": list(range(len(in_keys)))},
            "outputs": {
                "names": out_names,
                "form": out_form,
                "values": outputs,
            },
            "layers": graph.items,
            "uses": graph.uses,
        }


class _Graph:
    """The uses of layers in one graph, in an order of computation."""

    def __init__(
        self, of: Translation, entries: Mapping[str, Mapping[str, Any]], path: str, depth: int
    ) -> None:
        self._of, self._path, self._depth = of, path, depth
        self._entries = entries
        self.items: list[Config] = []
        self.uses: list[Any] = []
        self._numbers: dict[str, int] = {}  # numbers of items, by name
        self._values: dict[Key, int] = {}
        self._count = 0
        nodes = {
            name: _list(f"inbound_nodes of {name!r}", e.get("inbound_nodes")) for name, e in entries.items()
        }
        self._old = any(isinstance(node, list) for uses in nodes.values() for node in uses)
        self._given = {name: [self._node(name, node) for node in uses] for name, uses in nodes.items()}

    def _node(self, name: str, node: Any) -> tuple[list[Any], Mapping[str, Any]]:
        """Return the inputs of a use, which count uses from 0, and its options."""
        given, options = _node(name, node)
        if isinstance(node, list):  # Keras 2 counts the uses of all nested models from 1
            given = [self._from_zero(tensor) for tensor in given]
        return given, options

    def _from_zero(self, tensor: Tensor) -> Tensor:
        nested = self._of._is_model(self._entries.get(tensor.name, {}))
        return tensor._replace(node=tensor.node - 1) if nested else tensor

    def begin(self, names: list[str]) -> list[list[int]]:
        """Add the inputs; return their shapes."""
        shapes = []
        for name in names:
            entry = self._entries.get(name)
            if entry is None or class_of(entry) != "InputLayer" or name in self._numbers:
                raise ValueError(f"input_layers must name InputLayers, once each, got {name!r}")
            inner = entry["config"]
            shape = _without_batch(inner.get("batch_shape", inner.get("batch_input_shape")))
            if self._of.input_shape is not None and not self._path and len(names) == 1:
                shape = list(self._of.input_shape)
            shapes.append(_sizes(shape, self._depth, needed=True))
            self._numbers[name] = len(self.items)
            self.items.append({"class_name": "InputLayer", "config": {"shape": shapes[-1]}, "name": name})
            self._values[name, 0, 0] = self._count
            self._count += 1
        return shapes

    def value(self, key: Key) -> int:
        """Return the number of a tensor's value."""
        if key not in self._values:
            raise ValueError(f"there is no output {key[2]} of use {key[1]} of {key[0]!r}")
        return self._values[key]

    def end(self, key: Key) -> int:
        """Return the number of an output's value; the uses of nested graphs have other numbers there."""
        name, node, output = key
        counted = (*ROWS, *GRAPHS) if self._old else GRAPHS
        if self._entries.get(name, {}).get("class_name") not in counted:
            return self.value(key)
        first = 1 if self._old else self._of.first_use
        if node < first:
            raise ValueError(f"uses of {name!r} in output_layers must count from {first}, got {node}")
        return self.value((name, node - first, output))

    def run(self) -> None:
        """Translate all uses; each follows those that it needs."""
        waiting: dict[tuple[str, int], int] = {}
        readers: dict[tuple[str, int], list[tuple[str, int]]] = {}
        ready = []
        for name, nodes in self._given.items():
            for number, (given, _) in enumerate(nodes):
                needs = {(t.name, t.node) for t in _tensors(given)} - {
                    (key[0], key[1]) for key in self._values
                }
                for need in needs:
                    readers.setdefault(need, []).append((name, number))
                waiting[name, number] = len(needs)
                if not needs:
                    ready.append((name, number))
        ready.reverse()
        while ready:
            use = ready.pop()
            self._use(*use)
            for reader in reversed(readers.get(use, ())):
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
            del waiting[use]
        if waiting:
            raise ValueError(
                f"its graph has a circle, or needs what is not there, at {next(iter(waiting))[0]!r}"
            )

    def _use(self, name: str, number: int) -> None:
        entry, (given, options) = self._entries[name], self._given[name][number]
        where = f"{class_of(entry)} {name!r}"
        if class_of(entry) in TRAINING_UNLESS_SAID and options.get("training") is True:
            options = {**options, "training": None}
        at_inference = self._options(options, where) and not _only_in_training(class_of(entry))
        tensors = list(_tensors(given))
        if class_of(entry) == "InputLayer" or not tensors:
            raise ValueError(f"{where} must be given tensors")
        if class_of(entry) in NOTHING:
            self._values[name, number, 0] = self.value(tensors[0][:3])
            return
        if is_operator(entry):
            self._operator(entry, name, number, given)
            return
        if any(not isinstance(value, Tensor) for value in _flat(given)):
            self._of.problems.add(where, "a layer that is called on numbers")
        if name not in self._numbers:
            item = self._of._item(entry, name, self._path, self._depth, tensors[0].shape)
            if item is None:
                self._lack(name, number)
                return
            self._numbers[name] = len(self.items)
            self.items.append(item)
        outputs = self.items[self._numbers[name]]["config"].get("outputs")
        several = len(outputs["values"]) if isinstance(outputs, Mapping) else 1
        self._note(self._numbers[name], [self.value(t[:3]) for t in tensors], at_inference)
        for index in range(several):
            self._values[name, number, index] = self._count
            self._count += 1

    def _note(self, item: int, inputs: list[int], at_inference: bool) -> None:
        self.uses.append([item, inputs, at_inference])

    def _lack(self, name: str, number: int) -> None:
        """Pretend that a missing output exists, so that everything missing is found."""
        self._values.setdefault((name, number, 0), 0)

    def _options(self, options: Mapping[str, Any], where: str) -> bool:
        """Return whether a use acts as at inference."""
        for key, value in options.items():
            if key == "training" and value in (None, True, False):
                if value:
                    self._of.problems.add(where, "a layer that is called with training=True")
            elif not (value is None or (isinstance(value, list) and set(map(type, value)) <= {type(None)})):
                self._of.problems.add(where, f"a layer that is called with {key}={shown(value)}")
        return options.get("training") is False

    def _operator(self, entry: Mapping[str, Any], name: str, number: int, given: list[Any]) -> None:
        flat = list(_flat(given))
        steps = steps_of(entry, flat)
        of_images = any(isinstance(t, Tensor) and len(t.shape or ()) == 1 + IMAGE for t in flat)
        turned = self._of._first and of_images
        if steps is None or (turned and any(of_channels(step.class_name, step.config) for step in steps)):
            self._of.problems.add(repr(name), f"the operator {entry.get('class_name')} as it is used")
            self._lack(name, number)
            return
        tensors = [value for value in flat if isinstance(value, Tensor)]
        last = -1
        for step in steps:
            item = self._fresh(name)
            self._numbers[item] = len(self.items)
            self.items.append({"class_name": step.class_name, "config": step.config, "name": item})
            inputs = [last if which < 0 else self.value(tensors[which][:3]) for which in step.inputs]
            self._note(self._numbers[item], inputs, False)
            last = self._count
            self._count += 1
        self._values[name, number, 0] = last

    def _fresh(self, name: str) -> str:
        taken = {*self._numbers, *self._entries} - {name}
        names = (f"{name}_{n}" for n in range(len(taken) + 2))
        return (
            name
            if name not in self._numbers
            else next(n for n in names if n not in taken and n not in self._numbers)
        )


def _only_in_training(class_name: str) -> bool:
    """Whether Keras records ``training=False`` for every use of a layer, also if the user did not say so."""
    kind = kind_of(OTHERS[class_name]({})[0] if class_name in OTHERS else class_name)
    return bool(getattr(kind, "_only_in_training", False))


# --- the pieces of a graph's description ------------------------------------------------------------


def _node(name: str, node: Any) -> tuple[list[Any], Mapping[str, Any]]:
    """Return the inputs of one use of a layer (tensors and numbers) and its options."""
    if isinstance(node, Mapping):  # Keras 3
        options = node.get("kwargs")
        if not isinstance(options, Mapping):
            raise ValueError(f"a use of {name!r} must have kwargs, got {shown(options)}")
        args = [_argument(entry) for entry in _list(f"args of {name!r}", node.get("args"))]
        named = [key for key in options if _has_tensor(options[key]) and key not in ("mask",)]
        args += [_argument(options[key]) for key in named]
        return args, {key: value for key, value in options.items() if key not in named}
    pieces = _list(f"a use of {name!r}", node)
    if pieces and isinstance(pieces[0], str):
        pieces = [pieces]
    found: list[Any] = []
    options = {}
    for piece in pieces:
        if not isinstance(piece, list) or len(piece) not in (3, 4) or not _is_key(piece[:3]):
            raise ValueError(
                f"a use of {name!r} must name a layer, its use and its output, got {shown(piece)}"
            )
        found.append(Tensor(piece[0], piece[1], piece[2], None))
        if len(piece) == 4 and isinstance(piece[3], Mapping):
            options.update(piece[3])
    return found, options


def _is_key(given: Any) -> bool:
    return isinstance(given[0], str) and all(type(n) is int and n >= 0 for n in given[1:3])


def _has_tensor(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_tensor, value))
    if not isinstance(value, Mapping):
        return False
    return value.get("class_name") == "__keras_tensor__" or any(map(_has_tensor, value.values()))


def _argument(value: Any) -> Any:
    if isinstance(value, list):
        return [_argument(entry) for entry in value]
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        history = config.get("keras_history") if isinstance(config, Mapping) else None
        if not isinstance(history, list) or len(history) != 3 or not _is_key(history):
            raise ValueError(f"a tensor must name a layer, its use and its output, got {shown(history)}")
        name, node, output = history
        return Tensor(name, node, output, config.get("shape"))  # type: ignore[union-attr]
    if isinstance(value, Mapping) and "class_name" not in value:  # a dict of inputs
        return [_argument(value[key]) for key in value]
    return value


def _flat(given: list[Any]) -> Iterator[Any]:
    for value in given:
        if isinstance(value, list) and any(isinstance(each, Tensor | list) for each in value):
            yield from _flat(value)
        else:
            yield value


def _tensors(given: list[Any]) -> Iterator[Tensor]:
    return (value for value in _flat(given) if isinstance(value, Tensor))


def _list(what: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list, got {shown(value)}")
    return value


def _entries(config: Any, key: str) -> list[Mapping[str, Any]]:
    if not isinstance(config, Mapping):
        raise ValueError(f"a model must have a configuration, got {shown(config)}")
    entries = _list(key, config.get(key))
    for entry in entries:
        if (
            not isinstance(entry, Mapping)
            or not isinstance(entry.get("class_name"), str)
            or "config" not in entry
        ):
            raise ValueError(f"a layer must have a class and a configuration, got {shown(entry)}")
    return entries


def _name(entry: Mapping[str, Any], default: str) -> str:
    inner = entry["config"]
    name = entry.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None) or default
    if not isinstance(name, str):
        raise ValueError(f"a layer's name must be a text, got {shown(name)}")
    return name


def _ends(what: str, given: Any) -> tuple[str, list[str], list[Key]]:
    """Return the form of inputs or outputs, their names, and the tensors."""
    if isinstance(given, Mapping):
        keys = list(given.values())
        names = list(map(str, given))
        form = "dict"
    else:
        single = isinstance(given, list) and len(given) == 3 and isinstance(given[0], str)
        keys = [given] if single else _list(what, given)
        form = "one" if single or len(keys) == 1 else "list"
        names = [str(key[0]) if isinstance(key, list) and key else "" for key in keys]
    for key in keys:
        if not isinstance(key, list) or len(key) != 3 or not _is_key(key):
            raise ValueError(f"{what} must each name a layer, its use and its output, got {shown(key)}")
    if not keys:
        raise ValueError(f"{what} must name at least one")
    return form, names, [(key[0], key[1], key[2]) for key in keys]


def _without_batch(shape: Any) -> Any:
    return shape[1:] if isinstance(shape, list) and len(shape) > 1 else None


def _sizes(shape: Any, depth: int, needed: bool = False) -> Any:
    """Return the shape of an input; ValueError if a size is missing that is needed."""
    if shape is None and (depth or not needed):
        return None
    if not isinstance(shape, list | tuple) or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(
            f"the shape of its input must have a size for each axis, got {shown(shape)}: give input_shape="
        )
    return list(shape)
