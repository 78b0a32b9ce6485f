"""
Digits and a confusion matrix
=============================

A convolutional network is fitted to the 8x8 images of scikit-learn's digits like any other
classifier. Most digits that it has not seen are told apart; the matrix shows which are not.
"""

import sys

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from cconv import CNNClassifier

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images, digits.target, test_size=0.3, stratify=digits.target, random_state=0
)
cnn = CNNClassifier(tol=None, random_state=0).fit(X_train, y_train)
accuracy = cnn.score(X_test, y_test)
print(f"accuracy on {len(y_test)} digits: {accuracy:.3f}")

# %%
# Left: the loss while training. Right: what the digits of each row were taken for.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
left.plot(range(1, cnn.n_iter_ + 1), cnn.loss_curve_, "o-", ms=4)
left.set(xlabel="epoch", ylabel="training loss", yscale="log", title="Training")
left.set_xticks(range(0, cnn.n_iter_ + 1, 5))
left.grid(alpha=0.3)
ConfusionMatrixDisplay.from_estimator(cnn, X_test, y_test, ax=right, cmap="Blues", colorbar=False)
right.set_title(f"Test digits: {accuracy:.1%} right")

# %%
if len(sys.argv) > 1:  # where to save the picture
    figure.savefig(sys.argv[1], dpi=90)
plt.show()
