"""List the benchmarks."""

TEXT = """\
python -m benchmarks.models    training steps and predictions of whole networks, beside other frameworks
python -m benchmarks.graphs    the same of networks with branches: residual, dense, U-shaped
python -m benchmarks.layers    single layers, in per cent of the machine's limits; errors
python -m benchmarks.shapes    convolutions of shapes that no kernel was made for, beside PyTorch
python -m benchmarks.scaling   how time depends on threads, batch, image area and channels
python -m benchmarks.scaling_model   what a training takes on up to 1,024 ranks, by a model checked here
python -m benchmarks.steps     each step of cconv's networks beside its floor; more threads, by a model
python -m benchmarks.memory    peak resident memory of training, beside PyTorch
python -m benchmarks.sources   arrays, files and objects that make batches, as what `fit` is given
python -m benchmarks.startup   time to import, beside other frameworks
python -m benchmarks.builds    two builds of cconv in turns: what a change, or another compiler, costs
python -m benchmarks.report    docs/benchmarks.md and its pictures, from the results of all these

Each writes benchmarks/results/NAME.json; with --quick it takes a minute or so and writes nothing unless
--out says where. --help tells the rest. Frameworks installed elsewhere are found with
--python torch=PYTHON --python keras=PYTHON …, or --python peers=PYTHON for all but cconv. A part of the
networks is chosen by --networks, --batches, --modes, --peers and --threads, as in

    python -m benchmarks.graphs --networks resnet18 --batches 8 --peers cconv torch openvino --out part.json

results/models_xeon.json is what benchmarks.models wrote on another kind of processor (--out).

Run them on a machine that does nothing else. Each prints how much the measured limits of the machine
varied meanwhile: where they did by more than a few per cent, somebody else was busy."""

if __name__ == "__main__":
    print(TEXT)
