"""The classifier of the course: one convolution, one pooling and two dense layers, as scikit-learn has it.

python examples/scratch_classifier.py
"""

from sklearn.metrics import classification_report

from cconv import Scratch2dCNNClassifier
from cconv.datasets import mnist_small

(x_train, y_train), (x_test, y_test) = mnist_small.load_data()
x_train = x_train.reshape(-1, 1, 28, 28) / 255
x_test = x_test.reshape(-1, 1, 28, 28) / 255

classifier = Scratch2dCNNClassifier(n_epochs=5, batch_size=100, random_state=0)
classifier.fit(x_train[:4000], y_train[:4000], x_train[4000:], y_train[4000:])
print(classification_report(y_test, classifier.predict(x_test), digits=3))
