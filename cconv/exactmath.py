"""log, exp and the inverse of the normal distribution, computed only from +, -, *, / and square roots.

NumPy chooses its transcendental functions by the machine's instruction set, and they differ in
the last bit. These functions do not: IEEE arithmetic rounds alike everywhere. They serve initial weights
and reported losses, not inner loops.
"""

import numpy as np

LOG2_HIGH = 0.6931471803691238  # its last 32 bits are zero: exponent * LOG2_HIGH is exact
LOG2_LOW = 1.9082149292705877e-10


def _polynomial(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """Σ coefficients[i] * x**i by Horner's rule."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += coefficient
    return total


def tree_sum(terms: np.ndarray) -> np.ndarray:
    """Sum over the first axis in a fixed order; the order of NumPy's sums may depend on the machine.

    While there are two halves, element i is added to element i + half; an odd one is added to the first.

    Parameters
    ----------
    terms : ndarray of shape (n, …)
        With n at least 1.

    Returns
    -------
    ndarray of shape (…)

    Examples
    --------
    >>> tree_sum(np.arange(5.0))
    np.float64(10.0)
    """
    while len(terms) > 1:
        half = len(terms) // 2
        added = terms[:half] + terms[half : 2 * half]
        if len(terms) % 2:
            added[0] += terms[-1]
        terms = added
    return terms[0]


def log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive float64 values, to about 1e-15 relative.

    x = m * 2**e with m in [√½, √2), and log m = 2 artanh(s) = 2 (s + s³/3 + s⁵/5 + …) with
    s = (m - 1) / (m + 1), |s| < 0.172; the series ends where its terms fall below 1e-17.

    Parameters
    ----------
    x : ndarray of float64
        Positive and finite; zero gives -inf.

    Returns
    -------
    ndarray of float64, of the same shape

    Examples
    --------
    >>> bool(abs(log(np.array([10.0]))[0] - 2.302585092994046) < 1e-15)
    True
    """
    x = np.asarray(x, np.float64)
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    e = exponent - low.astype(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    series = _polynomial(s * s, tuple(2.0 / (2 * i + 1) for i in range(12)))
    result = e * LOG2_HIGH + (e * LOG2_LOW + s * series)
    return np.where(x == 0.0, -np.inf, result)


def exp(x: np.ndarray) -> np.ndarray:
    """Exponential of float64 values, to about 1e-15 relative.

    x = k log 2 + r with |r| ≤ ½ log 2, and exp x = 2**k exp r; the series ends where terms fall below 1e-17.

    Parameters
    ----------
    x : ndarray of float64
        Any value; very negative values give 0, very large ones infinity.

    Returns
    -------
    ndarray of float64, of the same shape

    Examples
    --------
    >>> bool(abs(exp(np.array([1.0]))[0] - 2.718281828459045) < 1e-15)
    True
    """
    x = np.clip(np.asarray(x, np.float64), -800.0, 800.0)
    k = np.rint(x / (LOG2_HIGH + LOG2_LOW))
    r = (x - k * LOG2_HIGH) - k * LOG2_LOW
    factorials = np.cumprod([1.0, *range(1, 15)])
    whole = np.where(np.isnan(k), 0, k).astype(np.int32)
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(_polynomial(r, tuple(1.0 / factorials)), whole)


# Wichura 1988, "Algorithm AS 241: the percentage points of the normal distribution", PPND16:
# three ratios of polynomials of degree 7, relative accuracy about 1e-16.
_CENTRE = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_SHOULDER = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_TAIL = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


def normal_quantile(p: np.ndarray) -> np.ndarray:
    """Return the z with Φ(z) = p; it turns uniform draws into normal ones.

    Algorithm AS 241 (Wichura 1988): a ratio of polynomials in q² for |q| = |p - ½| ≤ 0.425,
    else in √(-log min(p, 1 - p)), shifted by 1.6 or by 5.

    Parameters
    ----------
    p : ndarray of float64
        In the open interval (0, 1).

    Returns
    -------
    ndarray of float64, of the same shape

    Examples
    --------
    >>> bool(abs(normal_quantile(np.array([0.975]))[0] - 1.959963984540054) < 1e-14)
    True
    """
    p = np.asarray(p, np.float64)
    q = p - 0.5
    centre = np.abs(q) <= 0.425
    z = np.empty_like(p)
    inner = q[centre]
    z[centre] = inner * _ratio(0.180625 - inner * inner, _CENTRE)
    outer = ~centre
    if outer.any():
        r = np.sqrt(-log(np.minimum(p[outer], 1.0 - p[outer])))
        value = np.where(r <= 5.0, _ratio(r - 1.6, _SHOULDER), _ratio(r - 5.0, _TAIL))
        z[outer] = np.where(q[outer] < 0.0, -value, value)
    return z


def _ratio(x: np.ndarray, ratio: tuple[tuple[float, ...], tuple[float, ...]]) -> np.ndarray:
    return _polynomial(x, ratio[0]) / _polynomial(x, ratio[1])
