#!/usr/bin/env python3
"""Prints the polynomial coefficients of runtime/src/kernels (needs mpmath).

Each polynomial is the weighted minimax fit (Remez exchange) of a function on an interval. Its
coefficients are rounded one by one, lowest degree first, and the others fitted again after each
(at once on intervals around 0, where the higher powers alone have no unique fit).
"""
import struct
import mpmath as mp

mp.mp.dps = 50


def remez(f, weight, low, high, powers):
    """Coefficients of sum c_i x^powers[i] that minimise max |weight (p - f)|, and that maximum."""
    n = len(powers)
    nodes = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / n) for i in range(n + 1)]
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / 800) for i in range(801)]
    samples = [(x, f(x), weight(x)) for x in grid]
    for _ in range(12):
        rows, right = [], []
        for i, x in enumerate(nodes):
            rows.append([x**p for p in powers] + [(-1) ** i / weight(x)])
            right.append(f(x))
        solution = list(mp.lu_solve(mp.matrix(rows), mp.matrix(right)))
        c, level = solution[:n], abs(solution[n])
        error = lambda x, fx, w: w * (sum(ci * x**p for ci, p in zip(c, powers)) - fx)
        errors = [error(*s) for s in samples]
        # One extremum per run of equal sign; drop the smaller end while there are too many.
        extrema = []
        for x, e in zip(grid, errors):
            if extrema and (extrema[-1][1] > 0) == (e > 0):
                if abs(e) > abs(extrema[-1][1]):
                    extrema[-1] = (x, e)
            else:
                extrema.append((x, e))
        while len(extrema) > n + 1:
            extrema.pop(0 if abs(extrema[0][1]) < abs(extrema[-1][1]) else -1)
        if len(extrema) < n + 1:
            break
        nodes = [x for x, _ in extrema]
        worst = max(abs(e) for e in errors)
        if worst < level * mp.mpf("1.0005"):
            break
    return c, max(abs(e) for e in errors)


def rounded(value, single):
    """The nearest f32 or f64."""
    if single:
        return mp.mpf(struct.unpack("f", struct.pack("f", float(value)))[0])
    return mp.mpf(float(value))


def fit(name, f, weight, low, high, degree, single=True):
    """Fits a polynomial of the degree; prints it from the highest degree, and its error."""
    low, high = mp.mpf(low), mp.mpf(high)
    fixed = []
    if low < 0:
        c, _ = remez(f, weight, low, high, list(range(degree + 1)))
        fixed = [rounded(ci, single) for ci in c]
    for k in range(len(fixed), degree + 1):
        known = list(fixed)
        rest = lambda x: f(x) - sum(c * x**i for i, c in enumerate(known))
        c, _ = remez(rest, weight, low, high, list(range(k, degree + 1)))
        fixed.append(rounded(c[0], single))
    grid = [low + (high - low) * i / 2000 for i in range(2001)]
    worst = max(abs(weight(x) * (sum(c * x**i for i, c in enumerate(fixed)) - f(x))) for x in grid)
    print(f"{name}: max weighted error 2^{float(mp.log(worst, 2)):.2f}")
    for c in reversed(fixed):
        print(f"    {mp.nstr(c, 9 if single else 17)},")


def rational(name, f, weight, high, numerator, denominator, least):
    """Fits n(t) / d(t) to f on (0, high]; prints n and d from the highest degree, d(0) being `least`, and the error.

    Remez exchange too; the unknown denominator in the equations is replaced by that of the step before.
    """
    terms = numerator + denominator + 2
    grid = [high / 2 * (1 - mp.cos(mp.pi * (i + mp.mpf("0.5")) / 1500)) for i in range(1500)]
    samples = [(t, f(t), weight(t)) for t in grid]
    nodes = [samples[(2 * i + 1) * len(samples) // (2 * terms)] for i in range(terms)]
    at = lambda c, t: mp.polyval(c[::-1], t)
    d = [mp.mpf(1)]
    for _ in range(60):
        rows = [[t**i for i in range(numerator + 1)] + [-value * t**i for i in range(1, denominator + 1)]
                + [(-1) ** i * at(d, t) / w] for i, (t, value, w) in enumerate(nodes)]
        solution = list(mp.lu_solve(mp.matrix(rows), mp.matrix([value for _, value, _ in nodes])))
        n, d, level = solution[:numerator + 1], [mp.mpf(1)] + solution[numerator + 1:-1], abs(solution[-1])
        errors = [w * (at(n, t) / at(d, t) - value) for t, value, w in samples]
        extrema = []
        for sample, e in zip(samples, errors):
            if not extrema or (extrema[-1][1] > 0) != (e > 0):
                extrema.append((sample, e))
            elif abs(e) > abs(extrema[-1][1]):
                extrema[-1] = (sample, e)
        while len(extrema) > terms:
            extrema.pop(0 if abs(extrema[0][1]) < abs(extrema[-1][1]) else -1)
        if len(extrema) < terms:
            raise ArithmeticError(f"{name}: the exchange lost a node")
        nodes = [sample for sample, _ in extrema]
        if max(map(abs, errors)) < level * mp.mpf("1.0005"):
            break
    else:
        raise ArithmeticError(f"{name}: the exchange does not settle")
    n, d = ([rounded(c * least, True) for c in polynomial] for polynomial in (n, d))
    worst = max(abs(w * (at(n, t) / at(d, t) - value)) for t, value, w in samples)
    print(f"{name}: max weighted error 2^{float(mp.log(worst, 2)):.2f}")
    for polynomial in (n, d):
        print("    " + ", ".join(mp.nstr(c, 9) for c in reversed(polynomial)))


TINY = mp.mpf(10) ** -25


def near(x):
    return x if abs(x) > TINY else TINY


def main():
    half_ln2 = mp.log(2) / 2 + mp.mpf("1e-4")
    # exp(r) = 1 + r + r^2 q(r)
    fit("exp q", lambda r: (mp.expm1(near(r)) - near(r)) / near(r) ** 2, lambda r: r**2 / mp.exp(r) + mp.mpf("1e-6"),
        -half_ln2, half_ln2, 4)
    # expm1(r) = r + r^2 q(r)
    fit("expm1 q", lambda r: (mp.expm1(near(r)) - near(r)) / near(r) ** 2,
        lambda r: max(abs(near(r) ** 2 / mp.expm1(near(r))), mp.mpf("0.02")), -half_ln2, half_ln2, 5)
    # 2^r = 1 + r q(r)
    fit("exp2 q", lambda r: mp.expm1(near(r) * mp.log(2)) / near(r), lambda r: abs(near(r)) / mp.mpf(2) ** r, -0.5, 0.5, 5)
    # log(1 + f) = f + f^2 p(f)
    fit("log p", lambda f: (mp.log1p(near(f)) - near(f)) / near(f) ** 2,
        lambda f: max(abs(near(f) ** 2 / mp.log1p(near(f))), mp.mpf("0.02")),
        mp.mpf(-1) / 3 - mp.mpf("1e-6"), mp.mpf(1) / 3 + mp.mpf("1e-6"), 8)
    # tanh(x) = x + x^3 p(x^2) up to 0.6
    root = lambda u: mp.sqrt(max(u, TINY))
    fit("tanh p", lambda u: (mp.tanh(root(u)) / root(u) - 1) / max(u, TINY),
        lambda u: max(u, TINY) * root(u) / mp.tanh(root(u)) + mp.mpf("1e-6"), 0, mp.mpf("0.36"), 5)
    # erf(x) = x n(x^2) / d(x^2) + x / 4 up to where it becomes 1. Its last share, which needs no rounding of the others,
    # makes their errors count for less; d(0) = 1.5 gave the least of some that were tried, over all floats.
    rational("erf n / d", lambda t: mp.erf(root(t)) / root(t) - mp.mpf("0.25"), lambda t: root(t) / mp.erf(root(t)),
             mp.mpf("3.919206") ** 2, 5, 6, mp.mpf("1.5"))
    # sin(r) = r + r^3 s(r^2), cos(r) = 1 - r^2 / 2 + r^4 c(r^2)
    quarter = (mp.pi / 4) ** 2 + mp.mpf("1e-4")
    fit("sin s", lambda u: (mp.sin(root(u)) / root(u) - 1) / max(u, TINY), lambda u: max(u, TINY) * root(u) / mp.sin(root(u)) + mp.mpf("1e-6"),
        0, quarter, 3)
    fit("cos c", lambda u: (mp.cos(root(u)) - 1 + u / 2) / max(u, TINY) ** 2, lambda u: u**2 / mp.cos(root(u)) + mp.mpf("1e-6"), mp.mpf("1e-6"), quarter, 3)
    # log2(m) = s l(s^2), s = (m - 1) / (m + 1); 2^t = e(t)
    top = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 + mp.mpf("1e-6")
    fit("pow log2", lambda u: 2 * mp.atanh(root(u)) / root(u) / mp.log(2), lambda u: mp.mpf(1) / 2, 0, top, 5, single=False)
    fit("pow exp2", lambda t: mp.mpf(2) ** t, lambda t: mp.mpf(2) ** -t, mp.mpf("-0.5"), mp.mpf("0.5"), 7, single=False)


if __name__ == "__main__":
    main()
