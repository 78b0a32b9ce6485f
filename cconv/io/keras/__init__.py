from cconv.io.keras.reading import read
def load(path, input_shape=None, compile=True): return read(path, input_shape, compile)
def read_model(path, compile): return read(path, None, compile)
