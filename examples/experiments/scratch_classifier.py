"""The course's classifier as the course trains it: 3 epochs of Adam, batches of 1,000, 48,000 images.

Which images those 48,000 of 60,000 are is drawn with each seed, as the course does. The course
reports a test accuracy of 0.9405 for its one run.

python examples/experiments/scratch_classifier.py [--quick]
"""

import time

from common import digits, options, table
from sklearn.model_selection import train_test_split

from cconv import Scratch2dCNNClassifier

chosen = options("The classifier from scratch on MNIST.", epochs=3, seeds=[0, 1, 2])
(x, y), (x_test, y_test) = digits(chosen.quick)
x, x_test = x.reshape(-1, 1, 28, 28), x_test.reshape(-1, 1, 28, 28)
rows = []
for seed in chosen.seeds:
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.2, random_state=seed)
    classifier = Scratch2dCNNClassifier(
        n_epochs=chosen.epochs, batch_size=1000, verbose=False, random_state=seed
    )
    began = time.perf_counter()
    classifier.fit(x_train, y_train, x_val, y_val)
    seconds = time.perf_counter() - began
    rows.append([seed, classifier.score(x_val, y_val), classifier.score(x_test, y_test), seconds])
    time.sleep(chosen.pause)
table(["seed", "validation", "test", "seconds"], rows, "mean test accuracy >= 0.935")
