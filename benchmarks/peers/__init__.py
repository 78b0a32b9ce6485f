"""What is measured: cconv, the frameworks beside it, and the machine itself.

A peer's module is imported in its worker alone. It has `prepare(setting, threads, dtype)`, which
returns versions by name, and some of `network(task)`, `conv(task)`, `rows(task)`: what can be done,
as functions without arguments that each do one step, by name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """One setting of one framework.

    Attributes
    ----------
    module, setting : str
        Of `benchmarks.peers`, and what its `prepare` gets.
    install : str
        What makes it available, for the reader.
    training : bool
        Whether it can train.
    dtypes : tuple of str
        What it is measured with.
    """

    title: str
    module: str
    setting: str
    install: str
    training: bool = True
    dtypes: tuple[str, ...] = ("float32",)


BOTH = ("float32", "float64")
OURS = "pip install -e ."
TORCH, KERAS = "pip install torch torchvision", "pip install tensorflow-cpu"
# PyTorch exports the networks that are graphs.
ONNX = f"{TORCH} onnx"

PEERS = {
    "machine": Peer("machine", "with_machine", "", "a C compiler with OpenMP", dtypes=BOTH),
    "cconv": Peer("cconv", "with_cconv", "", OURS, dtypes=BOTH),
    "cconv-avx2": Peer("cconv, AVX2", "with_cconv", "avx2", "a processor with AVX-512", dtypes=BOTH),
    "torch": Peer("PyTorch, NCHW", "with_torch", "contiguous", TORCH, dtypes=BOTH),
    "torch-last": Peer("PyTorch, channels_last", "with_torch", "channels_last", TORCH, dtypes=BOTH),
    "torch-compile": Peer("PyTorch, compiled", "with_torch", "compile", TORCH),
    "keras-tf": Peer("Keras/TensorFlow", "with_keras", "tensorflow", KERAS),
    "keras-xla": Peer("Keras/TensorFlow, XLA", "with_keras", "xla", KERAS),
    "keras-jax": Peer("Keras/JAX", "with_keras", "jax", "pip install keras jax"),
    "onnxruntime": Peer("onnxruntime", "with_onnxruntime", "", f"{ONNX} onnxruntime", training=False),
    "openvino": Peer("OpenVINO", "with_openvino", "", f"{ONNX} openvino", training=False),
}
# Those whose networks are compared; AVX2 is a matter of layers.
FRAMEWORKS = [name for name in PEERS if name not in ("machine", "cconv-avx2")]

# What cconv's `fit` is given; the torch-loader needs the interpreter that has PyTorch.
SOURCES = {
    "cconv-array": Peer("array in memory", "with_sources", "array", OURS),
    "cconv-memmap": Peer("np.memmap", "with_sources", "memmap", OURS),
    "cconv-h5py": Peer("h5py dataset", "with_sources", "h5py", "pip install h5py"),
    "cconv-zarr": Peer("Zarr array, compressed", "with_sources", "zarr", "pip install zarr"),
    "cconv-generator": Peer("generator", "with_sources", "generator", OURS),
    "cconv-sequence": Peer("object with len and [ ]", "with_sources", "sequence", OURS),
    "torch-loader": Peer("PyTorch's DataLoader", "with_sources", "loader", TORCH),
    "cconv-folder": Peer("folder of PNG files", "with_sources", "folder", "pip install pillow"),
}
# cconv's kernel calls one by one; and their loops, on one thread.
STEPS = {
    "cconv-steps": Peer("cconv, step by step", "with_steps", "calls", OURS),
    "cconv-tasks": Peer("cconv, task by task", "with_steps", "tasks", "cconv built by GCC on Linux"),
}
PEERS |= SOURCES | STEPS
