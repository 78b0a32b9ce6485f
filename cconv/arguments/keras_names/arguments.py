"""The arguments of Keras 3 that cconv lacks, with the values that are accepted because they ask for nothing.

The keys of the table are ``module.Class`` or ``module.function`` (``module.*``: all of them), or
``Sequential.method``; a class also has the arguments of its bases. One argument a line: an argument that
cconv gets loses its line here, and nothing else.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from cconv.arguments.text import key_of

OWN_NAME = object()  # the class' own name, as Keras writes it: "adam" for Adam


class Argument(NamedTuple):
    """An argument of Keras: values that are accepted, as they ask for nothing, and what to use instead."""

    accepted: tuple[Any, ...] = (None,)
    instead: str = ""
    same: str = ""  # cconv's name of the same argument,
    convert: Callable[[Any], Any] = lambda value: value  # and the conversion of its value
    then: str = ""  # the method of the new object that gets the value

    def accepts(self, value: Any, where: str) -> bool:
        """Whether a value asks the class or function `where` for nothing that it does not do."""
        for known in self.accepted:
            if known is OWN_NAME:
                if isinstance(value, str) and key_of(value) == key_of(where):
                    return True
            elif value is known or (
                type(value) in (type(known), _NARROWER.get(type(known))) and value == known
            ):
                return True
        return False


_NARROWER = {float: int}  # 0 may stand for 0.0, but True may not stand for 1


NONE = Argument()
NO = Argument((False, None))
PATH = Argument(same="path")
VALUE = Argument(same="value")
NAME = Argument((None, OWN_NAME))
FACTOR = Argument(instead="a lower learning_rate")
WORKERS = Argument(
    (1, 0, None), "workers= of a cconv.utils.PyDataset; batches of arrays are prepared in the background"
)
DESERIALIZE = {"custom_objects": Argument((None, {}), "cconv.utils.custom_object_scope")}


ARGUMENTS: dict[str, dict[str, Argument]] = {
    "models.Sequential": {},
    "models.load_model": {
        "filepath": PATH,
        "safe_mode": Argument((True,), "nothing: a file is data and never code"),
    },
    "Sequential.compile": {
        "run_eagerly": NO._replace(instead="Sequential.fuse = False, to see each layer at its own work"),
        "steps_per_execution": Argument((1, None), "nothing: a step costs no more than its kernels"),
        "jit_compile": Argument(("auto", False, None), "nothing: the kernels are compiled"),
        "auto_scale_loss": Argument((True, False), "nothing: there is no float16 to scale for"),
    },
    "Sequential.fit": {
        "max_queue_size": Argument((10, None), "nothing: the next batch is prepared in the background"),
        "workers": WORKERS,
        "use_multiprocessing": NO._replace(instead="cconv.set_num_threads"),
        "nb_epoch": Argument(instead="epochs", same="epochs"),
    },
    "Sequential.evaluate": {
        "max_queue_size": Argument((10, None), "nothing: the next batch is prepared in the background"),
        "workers": WORKERS,
        "use_multiprocessing": NO._replace(instead="cconv.set_num_threads"),
    },
    "Sequential.predict": {
        "max_queue_size": Argument((10, None), "nothing: the next batch is prepared in the background"),
        "workers": WORKERS,
        "use_multiprocessing": NO._replace(instead="cconv.set_num_threads"),
    },
    "Sequential.save": {
        "filepath": PATH,
        "overwrite": Argument((True, None), "os.path.exists, before"),
        "zipped": NONE,
        "include_optimizer": Argument((True,), "save_weights, or load_model(compile=False)"),
        "save_format": Argument(instead="the ending of the file's name"),
    },
    "Sequential.save_weights": {
        "filepath": PATH,
        "overwrite": Argument((True, None), "os.path.exists, before"),
        "max_shard_size": NONE,
    },
    "Sequential.load_weights": {
        "filepath": PATH,
        "skip_mismatch": NO._replace(instead="set_weights of single layers"),
    },
    "Sequential.add": {
        "rebuild": Argument((True,)),
    },
    "Sequential.pop": {
        "rebuild": Argument((True,)),
    },
    "layers.*": {
        "activity_regularizer": Argument(instead="kernel_regularizer="),
        "dtype": Argument((None, "float32"), "dtype= of Sequential, which holds for all its layers"),
        "autocast": Argument((True, None)),
        "batch_size": Argument(instead="batch_size= of fit"),
        "batch_input_shape": Argument(instead="input_shape=, without the batch"),
        "batch_shape": Argument(instead="input_shape=, without the batch"),
        "input_dim": Argument(instead="input_shape=(n,)", same="input_shape", convert=lambda n: (n,)),
        "weights": Argument(instead="set_weights, once it is built", then="_set_first_weights"),
    },
    "layers.InputLayer": {
        "input_shape": Argument(same="shape"),
        "sparse": NO,
        "ragged": NO,
        "tensor": NONE,
        "trainable": Argument((True, None), "nothing: it has no weights"),
        "input_tensor": NONE,
        "optional": NO,
    },
    "layers.Dense": {
        "lora_rank": NONE,
        "lora_alpha": NONE,
        "quantization_config": NONE,
    },
    "layers.BatchNormalization": {
        "renorm": NO,
        "renorm_clipping": NONE,
        "renorm_momentum": Argument((0.99, None)),
        "synchronized": NO._replace(instead="nothing: a batch is never cut between processes"),
    },
    "layers.LeakyReLU": {
        "alpha": Argument(instead="negative_slope", same="negative_slope"),
    },
    "layers.deserialize": DESERIALIZE,
    "optimizers.*": {
        "loss_scale_factor": FACTOR,
        "name": NAME,
        "identifier": VALUE,
    },
    "schedules.CosineDecayRestarts": {
        "name": Argument((None, OWN_NAME, "SGDRDecay")),
    },
    "schedules.*": {
        "name": NAME._replace(accepted=(None, OWN_NAME, "PiecewiseConstant")),
    },
    "losses.*": {
        "dtype": Argument(instead="dtype= of Sequential"),
        "identifier": VALUE,
    },
    "metrics.*": {
        "dtype": NONE,
        "identifier": VALUE,
    },
    "metrics.SparseCategoricalCrossentropy": {
        "ignore_class": Argument(instead="the loss of that name, which evaluate gives"),
    },
    "callbacks.TensorBoard": {
        "histogram_freq": Argument((0, None), "CSVLogger or a callback: scalars alone are written"),
        "write_graph": Argument((True, False, None), "nothing: utils.plot_model draws the model"),
        "write_images": NO,
        "write_steps_per_second": NO,
        "profile_batch": Argument((0, None), "explain, which measures each step"),
        "embeddings_freq": Argument((0, None)),
        "embeddings_metadata": NONE,
    },
    "callbacks.ReduceLROnPlateau": {
        "epsilon": Argument(instead="min_delta", same="min_delta"),
    },
    "utils.plot_model": {
        "show_dtype": NO,
        "rankdir": Argument(("TB",), "nothing: the drawing runs from top to bottom, in columns"),
        "expand_nested": NO,
        "dpi": Argument((200, 96, None), "nothing: an SVG has any resolution"),
        "layer_range": NONE,
        "show_layer_activations": NO._replace(instead="nothing: activations are always shown"),
        "show_trainable": NO,
        "splines": Argument(("ortho",)),
    },
    "utils.image_dataset_from_directory": {
        "format": Argument(("tf",), "nothing: what is returned is for fit, evaluate and predict"),
    },
    "regularizers.*": {
        "identifier": VALUE,
    },
    "constraints.*": {
        "identifier": VALUE,
    },
    "initializers.*": {
        "identifier": VALUE,
    },
    "initializers.VarianceScaling": {
        "input_axes": NONE,
        "output_axes": NONE,
    },
    "activations.deserialize": DESERIALIZE,
    "constraints.deserialize": DESERIALIZE,
    "initializers.deserialize": DESERIALIZE,
    "regularizers.deserialize": DESERIALIZE,
    "activations.*": {
        "identifier": VALUE,
    },
}
