"""Build of the compiled kernels: Cython loops over C micro-kernels.  Everything else is in pyproject.toml.

Each instruction set lives in a C file of its own that sets the compiler's target for itself, so
no flag here depends on the machine that builds.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SIMD = ["dispatch.c", "isa_generic.c", "isa_avx2.c", "isa_avx512.c"]
# What Cython needs for memoryviews, once instead of in each module.
SHARED = "cconv._shared"
HEADERS = sorted(str(path) for path in Path("cconv/simd").glob("*.h"))
# Modules whose loops are all in the C kernels: a third smaller this way, for 0.1 microseconds a call.
SMALL = ["-Os"]
TEAM = "cconv/simd/team.c"
OPENMP_TEST = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


def openmp_flags(compiler):
    """Return the (compile, link) flags that give OpenMP with this compiler command; none without it."""
    for flags in (["-fopenmp"], ["-Xpreprocessor", "-fopenmp", "-lomp"]):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "openmp.c")
            source.write_text(OPENMP_TEST)
            command = [*compiler, *flags, str(source), "-o", str(Path(folder, "openmp"))]
            try:
                done = subprocess.run(command, capture_output=True, check=False)
            except OSError:
                continue
        if done.returncode == 0:
            libraries = [flag for flag in flags if flag.startswith("-l")]
            rest = [flag for flag in flags if not flag.startswith("-l")]
            return rest, libraries or rest
    warnings.warn(
        "cconv: this compiler has no OpenMP; the kernels are built serial and will use one thread",
        stacklevel=2,
    )
    return [], []


class BuildKernels(build_ext):
    """Adds the flags that depend on the compiler: OpenMP, and those of a sanitizer build."""

    def run(self):
        """Build; setuptools clears `inplace` meanwhile, so keep what was asked for."""
        self.keeps_names = self.inplace
        super().run()

    def build_extensions(self):
        """Build with those flags."""
        compiler = getattr(self.compiler, "compiler_so", None) or ["cc"]
        compile_flags, link_flags = openmp_flags(compiler)
        # -ffp-contract=off: products and sums are fused only where the kernels say so, which is
        # what makes every instruction set round at the same places.
        shared = ["-O3", "-ffp-contract=off", "-fvisibility=hidden", "-g0"]
        linux = sys.platform == "linux"
        if linux and compile_flags:
            link_flags = [*link_flags, "-Wl,--wrap=GOMP_parallel"]
        sanitizers = os.environ.get("CCONV_SANITIZE")
        if sanitizers:
            shared = ["-O1", "-g", "-ffp-contract=off", "-fno-omit-frame-pointer"]
            shared += [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined"]
            link_flags = [*link_flags, f"-fsanitize={sanitizers}"]
        elif not self.keeps_names and linux:
            # No names of static functions in what is installed; builds in place keep them, for perf.
            link_flags = [*link_flags, "-Wl,--strip-all"]
        for extension in self.extensions:
            if linux and compile_flags and extension.name != SHARED and TEAM not in extension.sources:
                extension.sources.append(TEAM)
            own_flags = [] if sanitizers else extension.extra_compile_args
            extension.extra_compile_args = [*shared, *compile_flags, *own_flags]
            extension.extra_link_args = link_flags
        super().build_extensions()


def kernels(name, simd=(), flags=()):
    """Return the extension module `cconv.<name>` made of `<name>.pyx` and C files of `simd/`."""
    sources = [f"cconv/{name}.pyx", *(f"cconv/simd/{file}" for file in simd)]
    depends = [*HEADERS, *sorted(str(path) for path in Path("cconv").glob("*.pxd"))]
    return Extension(f"cconv.{name}", sources, depends=depends, extra_compile_args=[*flags])


setup(
    ext_modules=cythonize(
        [
            Extension(SHARED, ["cconv/_shared.c"], extra_compile_args=SMALL),
            kernels("_kernels", SIMD),
            kernels("_dense"),
            kernels("_first", flags=SMALL),
            kernels("_winograd", flags=SMALL),
            kernels("_depthwise", flags=SMALL),
            kernels("_lanes", flags=SMALL),
            kernels("_pooling", flags=SMALL),
            kernels("_elementwise", flags=SMALL),
            kernels("_normalization"),
            kernels("_images", flags=SMALL),
        ],
        shared_utility_qualified_name=SHARED,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "freethreading_compatible": True,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
