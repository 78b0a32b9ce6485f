"""The pages of the reference, made of what public modules list in `__all__`: no name can be forgotten.

A name is described in the first of `MODULES` that lists it; elsewhere a line says where that is. Large
modules have a page for each subject; the subjects are the files in which the names are defined.
"""

import importlib
import inspect
from dataclasses import dataclass, field

from _site.staging import write_if_new

# In the order in which readers look for them; `cconv` is last, as it has the names of others.
MODULES = (
    "models",
    "layers",
    "losses",
    "metrics",
    "optimizers",
    "schedules",
    "optimizers.schedules",
    "callbacks",
    "activations",
    "initializers",
    "regularizers",
    "constraints",
    "applications",
    "datasets",
    "estimators",
    "distributed",
    "utils",
    "plotting",
    "functional",
    "reference",
    "io",
    "io.onnx",
    "io.keras",
    "io.torch",
    "",
)
# Pages of large modules: (file, title, the files of cconv in which the names are defined).
SUBJECTS = {
    "layers": (
        ("core", "Input, Dense, activations", "base input symbolic affine activation prelu layers"),
        ("convolution", "Convolutions", "convolution transposed separable sequences"),
        ("pooling", "Pooling", "pooling global_pooling sequence_pooling"),
        (
            "normalization",
            "Normalisation",
            "normalization layer_normalization group_normalization data_normalization "
            "response_normalization layer_scale elementwise_affine",
        ),
        ("regularization", "Dropout and noise", "dropout noise"),
        (
            "augmentation",
            "Rescaling and augmentation",
            "rescaling augmentation resampling levels patches mixing",
        ),
        (
            "shapes",
            "Shapes, padding, resizing",
            "core padding bordering resizing sampling slicing tiling space_depth clipping argmax",
        ),
        ("merging", "Several inputs", "elementwise joining merging"),
    ),
    "applications": (
        (
            "classic",
            "From LeNet to DenseNet",
            "lenet alexnet vgg vgg16 vgg19 squeezenet inception_v3 xception densenet",
        ),
        ("residual", "Residual networks", "resnet resnet50 resnet_v2 convnext"),
        ("mobile", "Small networks", "mobilenet mobilenet_v2 mobilenet_v3 efficientnet"),
        ("more", "U-Net, autoencoder, the table", "unet autoencoder listed imagenet_utils"),
    ),
    "reference": (
        ("convolution", "Convolution, dense, pooling", "convolution bands transposed dense pooling shapes"),
        ("activations", "Activations and losses", "activations smooth prelu losses"),
        ("normalization", "Normalisation", "normalization layer_normalization group_normalization"),
        ("optimizers", "Optimizers", "optimizers adaptive"),
        ("images", "Images, merging, random numbers", "images resizing merging dropout"),
    ),
}
# Classes whose methods come from classes that are not public.
WHOLE = {"Sequential", "Model", "CNNClassifier", "CNNRegressor", "Scratch2dCNNClassifier"}
# What the modules among the names have for users.
IN_MODULES = ("load_data", "preprocess_input")


@dataclass
class Page:
    """A page of the reference: the names that it describes, and the lines of those that stand elsewhere."""

    module: str
    file: str
    title: str
    intro: str = ""
    described: list = field(default_factory=list)
    elsewhere: dict = field(default_factory=dict)

    @property
    def short(self):
        """The title among those of all modules."""
        return f"{self.module}: {self.title.lower()}" if self.module in SUBJECTS else self.title


def full(module, name):
    """Return a name with its module's in front."""
    return ".".join(filter(None, ("cconv", module, name)))


def intro_of(module):
    """Return the first paragraph of a module's docstring."""
    return inspect.cleandoc(module.__doc__).split("\n\n")[0]


def pages_of(name, module):
    """Return the pages of a module, empty, and which of them has the names that a file defines."""
    if name not in SUBJECTS:
        page = Page(name, name.replace(".", "-") or "cconv", full(name, ""), intro_of(module))
        return [page], lambda source: page
    made, places = [], {}
    for file, title, sources in SUBJECTS[name]:
        made.append(Page(name, f"{name}-{file}", title))
        places |= dict.fromkeys(sources.split(), made[-1])
    return made, lambda source: places[source.rpartition(".")[2]]


def collect():
    """Return all pages with their names."""
    known, found = {}, []
    for name in MODULES:
        module = importlib.import_module(full(name, ""))
        made, page_for = pages_of(name, module)
        found += made
        # What has the name under which it was defined is described; another name of it gets a line.
        own = {value: getattr(getattr(module, value), "__name__", value) == value for value in module.__all__}
        for value in sorted(module.__all__, key=lambda value: not own[value]):
            thing = getattr(module, value)
            source = thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", "")
            page = page_for(source)
            key = id(thing) if callable(thing) or inspect.ismodule(thing) else full(name, value)
            if key in known:
                page.elsewhere[value] = known[key]
            elif inspect.ismodule(thing) and source.removeprefix("cconv.") in MODULES:
                page.elsewhere[value] = source
            else:
                known[key] = full(name, value)
                page.described.append(value)
    return found


def inherited(kind):
    """Return the public methods and properties of a class that cconv itself defines and describes."""
    found = {}
    for base in reversed(kind.__mro__):
        for name, value in vars(base).items() if base.__module__.startswith("cconv.") else ():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            ours = getattr(function, "__module__", None) or ""
            described = ours.startswith("cconv.") and function.__doc__
            if name[0] != "_" and described and hasattr(kind, name):
                found[name] = True
    return list(found)


def entry(page, name):
    """Return the lines that have Sphinx describe a name."""
    thing = getattr(importlib.import_module(full(page.module, "")), name)
    path = full(page.module, name)
    if inspect.ismodule(thing):
        functions = [f".. autofunction:: {path}.{value}" for value in IN_MODULES if hasattr(thing, value)]
        heading = [
            f"``{name}``",
            "-" * (len(name) + 4),
            "",
            f".. py:module:: {path}",
            "   :no-index-entry:",
            "",
        ]
        return [*heading, intro_of(thing), "", *functions, ""]
    if inspect.isclass(thing):
        if name in WHOLE:
            methods = ", ".join(inherited(thing))
            return [f".. autoclass:: {path}", f"   :members: {methods}", ""]
        return [f".. autoclass:: {path}", "   :members:", ""]
    if callable(thing):
        return [f".. autofunction:: {path}", ""]
    return [f".. py:data:: {path}", f"   :value: {thing!r}", ""]


def text_of(page):
    """Return the text of a page."""
    title = f"``{page.title}``" if page.title.startswith("cconv") else page.title
    lines = [title, "=" * len(title), ""]
    own = page.module not in SUBJECTS or page.file.endswith(f"-{SUBJECTS[page.module][0][0]}")
    lines += [f".. py:{'module' if own else 'currentmodule'}:: {full(page.module, '')}", ""]
    if page.intro:
        lines += [page.intro, ""]
    if page.file.startswith(f"{page.module}-") and page.module in SUBJECTS:
        lines += [f"Names of `cconv.{page.module}`.", ""]
    things = {name: getattr(importlib.import_module(full(page.module, "")), name) for name in page.described}
    summed = [name for name in page.described if callable(things[name])]
    if len(summed) > 1:
        lines += [".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in summed] + [""]
    if page.elsewhere:
        lines += [".. list-table:: Other names", "   :header-rows: 1", "", "   * - Name", "     - is"]
        for name, place in sorted(page.elsewhere.items()):
            lines += [f"   * - ``{name}``", f"     - `{place}`"]
        lines += [""]
    for name in page.described:
        lines += entry(page, name)
    return "\n".join(lines)


def index(found):
    """Return the first page of the reference."""
    lines = ["Reference", "=========", ""]
    lines += [
        "Every public name, with shapes and an example that is run. `cconv` itself has the names that",
        "scripts use most; the others are in its modules, as in Keras.",
        "",
    ]
    for module in dict.fromkeys(page.module for page in found):
        title = f"``{full(module, '')}``"
        lines += [title, "-" * len(title), "", intro_of(importlib.import_module(full(module, ""))), ""]
        lines += [".. toctree::", "   :maxdepth: 1", ""]
        pages = [page for page in found if page.module == module]
        lines += [f"   {page.short} <{page.file}>" for page in pages]
        lines += [""]
    return "\n".join(lines)


def write(folder):
    """Write all pages into a folder."""
    found = collect()
    for page in found:
        write_if_new(folder / f"{page.file}.rst", text_of(page))
    write_if_new(folder / "index.rst", index(found))
