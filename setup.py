"""Build of the compiled kernels: Cython loops over C micro-kernels.  Everything else is in pyproject.toml.

Each instruction set lives in a C file of its own that sets the compiler's target for itself, so
no flag here depends on the machine that builds.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

SIMD = [
    "isa/dispatch.c",
    "isa/isa_generic.c",
    "isa/isa_avx2.c",
    "isa/isa_avx512.c",
    "isa/tuning.c",
    "system/crew.c",
    "system/probe.c",
]
# What Cython needs for memoryviews, once instead of in each module.
SHARED = "cconv._shared"
HEADERS = sorted(str(path) for path in Path("cconv/simd").rglob("*.h"))
# Commands that run a compiler named behind them.
LAUNCHERS = {"ccache", "sccache", "distcc", "icecc"}
TEAM = "cconv/simd/system/team.c"
# What GCC calls of OpenMP's library, and `team.c` answers.
WRAPPED = [
    "GOMP_parallel",
    "GOMP_barrier",
    "GOMP_loop_dynamic_start",
    "GOMP_loop_dynamic_next",
    "GOMP_loop_nonmonotonic_dynamic_start",
    "GOMP_loop_nonmonotonic_dynamic_next",
    "GOMP_loop_end",
    "GOMP_loop_end_nowait",
    "omp_get_thread_num",
]
OPENMP_TEST = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
# Where Homebrew has LLVM's OpenMP, which it does not show to compilers.
LIBOMP = [Path("/opt/homebrew/opt/libomp"), Path("/usr/local/opt/libomp")]
# Where clang-cl is when no PATH leads to it.
LLVM = [Path(r"C:\Program Files\LLVM\bin"), Path(r"C:\Program Files (x86)\LLVM\bin")]


# A link in README.md to a file of the repository.
RELATIVE = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)")
# Modules that compute with numbers themselves.
OWN_LOOPS = ("dropout", "images", "resizing")
# Where a thread begins to compute in the C that Cython writes: a `with nogil` block, and a parallel region.
# Not one that is guarded already.
BEGINNINGS = re.compile(r"(?:_save = PyEval_SaveThread\(\);|#pragma omp parallel\b[^{]*\{)(?! CCONV_CONTROL)")
CYTHON = {
    # A folder where the C that Cython writes is kept for other builds of the same sources; without it, none.
    "cache": os.environ.get("CYTHON_CACHE_DIR") or False,
    "shared_utility_qualified_name": SHARED,
    "compiler_directives": {
        "language_level": 3,
        "boundscheck": False,
        "wraparound": False,
        "initializedcheck": False,
        "cdivision": True,
        "freethreading_compatible": True,
    },
}


def compiled(compiler, text, *flags):
    """Compile a C file of this text; return None, or why that cannot be done."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "try.c")
        source.write_text(text)
        command = [*compiler, str(source), *flags, "-o", str(Path(folder, "try"))]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:
            return error.strerror
    if done.returncode == 0:
        return None
    errors = [line.strip() for line in done.stderr.splitlines() if "error" in line]
    return errors[0] if errors else f"exit code {done.returncode}"


def need_compiler(compiler, include_dirs):
    """End the build in a few lines where C, or C with Python's headers, cannot be compiled."""
    command = " ".join(compiler[:2] if Path(compiler[0]).stem in LAUNCHERS else compiler[:1])
    why = compiled(compiler, "int main(void) { return 0; }\n", "-c")
    if why:
        raise CompileError(
            f"cconv's kernels are C, and there is no C compiler to build them: {command}: {why}\n"
            "Install one: apt install build-essential, dnf install gcc, apk add build-base, or on macOS "
            "xcode-select --install.\n"
            "If there is one under another name, say so: CC=/path/to/gcc pip install ...\n"
            "Or take a wheel of a release, which needs none: pip install cconv-....whl (docs/wheels.md)"
        )
    why = compiled(compiler, "#include <Python.h>\n", "-c", *(f"-I{folder}" for folder in include_dirs))
    if why:
        raise CompileError(
            f"cconv's kernels are C, and Python's headers to build them with are missing: {why}\n"
            "Install them: apt install python3-dev, dnf install python3-devel, apk add python3-dev, or take "
            "a Python that brings them."
        )


def use_clang_cl(compiler):
    """Have setuptools' compiler for Windows call clang-cl: Microsoft's own has no such vectors."""
    if not compiler.initialized:
        compiler.initialize()
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, LLVM)])
    name = os.environ.get("CC", "clang-cl")
    compiler.cc = shutil.which(name, path=path)
    if not compiler.cc:
        raise CompileError(
            f"cconv's kernels are C for clang, and there is no {name} to build them.\n"
            "Install it: winget install LLVM.LLVM, or the Clang tools of Visual Studio.\n"
            "If there is one under another name, say so: set CC=C:\\path\\to\\clang-cl.exe"
        )
    # Microsoft's linker finds what /openmp asks for in LLVM's folder; /GL is its own compiler's.
    compiler.add_library_dir(str(Path(compiler.cc).parents[1] / "lib"))
    compiler.compile_options = [option for option in compiler.compile_options if option != "/GL"]


def openmp_flags(compiler):
    """Return the (compile, link) flags that give OpenMP with this compiler command; none without it."""
    apple = ["-Xpreprocessor", "-fopenmp", "-lomp"]
    brewed = [[*apple, f"-I{folder}/include", f"-L{folder}/lib"] for folder in LIBOMP if folder.is_dir()]
    for flags in (["-fopenmp"], apple, *brewed):
        if compiled(compiler, OPENMP_TEST, *flags) is None:
            to_link = [flag for flag in flags if flag.startswith(("-l", "-L"))]
            rest = [flag for flag in flags if flag not in to_link]
            return rest, to_link or rest
    warnings.warn(
        "cconv: this compiler has no OpenMP; the kernels are built serial and will use one thread",
        stacklevel=2,
    )
    return [], []


def level_of(name):
    """Return the flags, if not -O3, by which a module is optimized.

    Where loops are over tasks alone, and what takes time is the C of `simd/` in _kernels, it is for size, a
    third less, at the same speed; a module with loops of its own was five times as slow. So are Cython's
    memoryviews, a quarter less. Tables to jump by, which files compress badly, are a thirtieth of both.
    """
    small = ["-Os", "-fno-jump-tables"]
    if name == SHARED:
        return small
    hands_out = name.startswith("cconv.kernels.") and name.rpartition(".")[2] not in OWN_LOOPS
    return small if hands_out else []


def flags_of_loops(compiler):
    """Return GCC's flags for the loops of the C of `simd/`; none for other compilers.

    Copies of a loop for each value of a condition make that a thirtieth larger, and no faster. Loops begin a
    cache line: where the loop of a tile began changed its speed on an Intel Xeon by 2 to 8 per cent.
    """
    flags = ["-fno-unswitch-loops", "-fno-split-loops", "-falign-loops=64"]
    return flags if compiled(compiler, "int main(void) { return 0; }\n", "-Werror", *flags) is None else []


def guard_control_word(source):
    """Let every thread that begins to compute in a C file of Cython's do so as `system/control.h` says."""
    path = Path(source)
    text = path.read_text()
    guarded = BEGINNINGS.sub(r"\g<0> CCONV_CONTROL", text)
    if guarded != text:
        path.write_text(guarded)


class Build(build):
    """Compiles first, so that what is missing is not said behind a hundred lines about copied files."""

    sub_commands = sorted(build.sub_commands, key=lambda command: command[0] != "build_ext")


def processors():
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def side_by_side(compile_one_by_one, jobs):
    """Return a compiler's `compile` that compiles the files of a module at the same time.

    The three instruction sets are two thirds of the work, and all of one module.
    """

    def compile_all(sources, **options):
        with ThreadPoolExecutor(jobs) as pool:
            objects = pool.map(lambda source: compile_one_by_one([source], **options), sources)
            return [name for names in objects for name in names]

    return compile_all


class BuildKernels(build_ext):
    """Has the C written, and adds the flags that depend on the compiler: OpenMP, those of a sanitizer."""

    def finalize_options(self):
        """Use all processors where nobody says how many: pip has no option for it."""
        super().finalize_options()
        self.parallel = self.parallel or processors()
        if self.editable_mode:
            # Where all other builds leave what they compiled, which tests link with too, and not in a folder
            # that is gone in the end.
            self.build_temp = f"build/temp.{self.plat_name}-{sys.implementation.cache_tag}"

    def run(self):
        """Build; setuptools clears `inplace` meanwhile, so keep what was asked for."""
        self.keeps_names = self.inplace and not self.editable_mode
        super().run()

    def write_c(self):
        """Have Cython write the C of every module."""
        # In processes side by side: on Linux, where starting them does not run setup.py once more.
        jobs = self.parallel if sys.platform == "linux" else 0
        modules = cythonize(self.extensions, nthreads=jobs, **CYTHON)
        written = {extension.name: extension for extension in modules}
        for extension in self.extensions:
            extension.sources = written[extension.name].sources
            if extension.name != SHARED:
                guard_control_word(extension.sources[0])

    def object_of(self, source, flags):
        """Compile a C file that every module has; return the names of its objects."""
        return self.compiler.compile(
            [source], output_dir=self.build_temp, include_dirs=["cconv/simd"], extra_postargs=flags
        )

    def build_extensions(self):
        """Build with those flags."""
        if self.compiler.compiler_type == "msvc":
            use_clang_cl(self.compiler)
            self.build_with_clang_cl()
        else:
            self.build_with_gcc_or_clang(getattr(self.compiler, "compiler_so", None) or ["cc"])

    def build_all(self):
        """Build, now that every extension has its flags."""
        self.compiler.compile = side_by_side(self.compiler.compile, self.parallel)
        super().build_extensions()

    def build_with_clang_cl(self):
        """Build with the same flags as below, in the words of clang-cl; its OpenMP is LLVM's."""
        self.write_c()
        for extension in self.extensions:
            flags = ["-O3", "-ffp-contract=off", *level_of(extension.name)]
            extension.extra_compile_args = ["/openmp", *(f"/clang:{flag}" for flag in flags)]
        self.build_all()

    def build_with_gcc_or_clang(self, compiler):
        """Build with GCC or clang."""
        need_compiler(compiler, self.compiler.include_dirs)
        self.write_c()
        compile_flags, link_flags = openmp_flags(compiler)
        # -ffp-contract=off: products and sums are fused only where the kernels say so, which is
        # what makes every instruction set round at the same places. -fno-math-errno: a square root is
        # an instruction everywhere, and no call of a library that is not linked.
        shared = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-g0"]
        linux = sys.platform == "linux"
        if linux and compile_flags:
            link_flags = [*link_flags, *(f"-Wl,--wrap={name}" for name in WRAPPED)]
        sanitizers = os.environ.get("CCONV_SANITIZE")
        if sanitizers:
            shared = ["-O1", "-g1", "-ffp-contract=off", "-fno-math-errno", "-fno-omit-frame-pointer"]
            shared += [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined"]
            # The one is a crash by itself, AddressSanitizer sees the other: a fifth of the time to compile.
            shared += ["-fno-sanitize=null,object-size"]
            link_flags = [*link_flags, f"-fsanitize={sanitizers}"]
        elif linux:
            # No tables to unwind C by, which throws nothing, and no names of static functions in what is
            # installed: a twentieth of its size. `setup.py build_ext --inplace` keeps the names, for perf.
            # What is compiled is the same, so that a cache of compilers' results serves both.
            shared += ["-fno-asynchronous-unwind-tables", "-fno-plt"]
            # The Pythons of distributions ask for guards of the stack, a hundredth of the size. The kernels
            # are the same whichever Python builds them; tests look at what they write.
            shared += ["-fno-stack-protector"]
            if not self.keeps_names:
                link_flags = [*link_flags, "-Wl,--strip-all"]
        # Compiled once: modules are compiled side by side, and would write the same object.
        team = self.object_of(TEAM, [*shared, *compile_flags]) if linux and compile_flags else []
        for extension in self.extensions:
            extension.extra_objects = team if extension.name != SHARED else []
            level = level_of(extension.name)
            if sanitizers and level:
                level = ["-O0"]  # only hands out tasks; compiles three times as fast, with every check
            if extension.name == "cconv._kernels" and not sanitizers:
                level += flags_of_loops(compiler)
            extension.extra_compile_args = [*shared, *compile_flags, *level]
            extension.extra_link_args = link_flags
        self.build_all()


def compiled_module(path, simd=()):
    """Return the extension module of `cconv/<path>.pyx` and C files of `simd/`."""
    sources = [f"cconv/{path}.pyx", *(f"cconv/simd/{file}" for file in simd)]
    depends = [*HEADERS, TEAM, *sorted(str(path) for path in Path("cconv").rglob("*.pxd"))]
    name = f"cconv/{path}".replace("/", ".")
    return Extension(name, sources, depends=depends, include_dirs=["cconv/simd"])


EXTENSIONS = [
    Extension(SHARED, ["cconv/_shared.c"]),
    compiled_module("arguments/_control"),
    compiled_module("_kernels", SIMD),
    *(compiled_module(f"kernels/{path.stem}") for path in sorted(Path("cconv/kernels").glob("*.pyx"))),
]


def about_repository(address, version):
    """Return the page for package indexes, README.md, and the project's links, where there is an address.

    Who releases gives that of the repository, in CCONV_REPOSITORY: the sources name none. Links then lead to
    the tag of the version.
    """
    page = Path("README.md").read_text(encoding="utf-8")
    if not address:
        return page, {}

    def absolute(link):
        kind = "raw" if link[1].endswith((".png", ".svg")) else "blob"
        return f"]({address}/{kind}/v{version}/{link[1]})"

    pages = {
        "Source": address,
        "Documentation": f"{address}/blob/v{version}/docs/start.md",
        "Changelog": f"{address}/blob/v{version}/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }
    return RELATIVE.sub(absolute, page), pages


if __name__ == "__main__":
    VERSION = re.search(r'__version__ = "(.+)"', Path("cconv/_version.py").read_text())[1]
    PAGE, PAGES = about_repository(os.environ.get("CCONV_REPOSITORY", "").rstrip("/"), VERSION)
    setup(
        ext_modules=EXTENSIONS,
        cmdclass={"build": Build, "build_ext": BuildKernels},
        long_description=PAGE,
        long_description_content_type="text/markdown",
        project_urls=PAGES,
    )
