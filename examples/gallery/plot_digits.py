"""
Digits and a confusion matrix
=============================

A convolutional network is fitted to the 8x8 images of scikit-learn's digits like any other
classifier. Most digits that it has not seen are told apart; the matrix shows which are not.
"""

import sys

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from cconv import CNNClassifier, plotting

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images, digits.target, test_size=0.3, stratify=digits.target, random_state=0
)
cnn = CNNClassifier(tol=None, random_state=0).fit(X_train, y_train)
print(f"accuracy on {len(y_test)} digits: {cnn.score(X_test, y_test):.3f}")

# %%
# What the digits of each row were taken for.
figure = plotting.confusion_matrix(y_test, cnn.predict(X_test))
if len(sys.argv) > 1:  # where to save the picture
    figure.savefig(sys.argv[1], dpi=90)
plt.show()
