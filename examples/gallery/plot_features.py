"""
The network's features for a support vector machine
===================================================

`CNNClassifier.transform` gives what the last dense layer sees. A linear support vector machine on
these features does what it cannot do on the pixels, and two of their principal components are a map.
"""

import sys

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from cconv import CNNClassifier

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.data, digits.target, test_size=0.5, stratify=digits.target, random_state=0
)
cnn = CNNClassifier(input_shape=(8, 8), tol=None, random_state=0)
MODELS = {
    "linear SVM on pixels": make_pipeline(StandardScaler(), SVC(kernel="linear")),
    "linear SVM on features": make_pipeline(cnn, StandardScaler(), SVC(kernel="linear")),
}
for name, model in MODELS.items():
    print(f"{name}: {model.fit(X_train, y_train).score(X_test, y_test):.3f}")

# %%
plt.style.use("cconv.plotting.cconv")
figure, panels = plt.subplots(1, 2, figsize=(10, 4.6))
views = {"Pixels": X_test, "Features of the network": MODELS["linear SVM on features"][0].transform(X_test)}
for axes, (title, view), (name, model) in zip(panels, views.items(), MODELS.items(), strict=True):
    flat = PCA(2, random_state=0).fit_transform(StandardScaler().fit_transform(view))
    for digit in range(10):  # drawn as what they are: colour alone does not tell ten classes apart
        axes.scatter(*flat[y_test == digit].T, marker=f"${digit}$", s=26, lw=0.3, color=f"C{digit % 7}")
    axes.set(title=f"{title}\n{name}: {100 * model.score(X_test, y_test):.1f} %", xticks=[], yticks=[])
    axes.set(xlabel="first principal component", ylabel="second principal component")
if len(sys.argv) > 1:  # where to save the picture
    figure.savefig(sys.argv[1], dpi=90, bbox_inches="tight")
plt.show()
