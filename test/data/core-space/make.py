"""
Makes references.json: `python3 make.py`, with NumPy.

Merges of LoRAs in core space as the paper defines them (Panariello et al. 2025, arXiv 2509.17786), by NumPy in float64:
reference bases from stacked factors, cores, a merge of the cores, and the way back. TIES keeps exactly floor(density * n).
"""
import json
import pathlib

import numpy as np


def svd(x):
    return np.linalg.svd(x, full_matrices=False)


def ties(cores, density):
    trimmed = []
    for core in cores:
        flat = core.ravel().copy()
        order = np.argsort(-np.abs(flat), kind="stable")
        flat[order[int(np.floor(density * flat.size)) :]] = 0
        trimmed.append(flat.reshape(core.shape))
    trimmed = np.stack(trimmed)
    agrees = (np.sign(trimmed) == np.sign(trimmed.sum(0))) & (trimmed != 0)
    return (trimmed * agrees).sum(0) / np.maximum(agrees.sum(0), 1)


def tsv(cores):
    us, ss, vs = [], [], []
    for core in cores:
        u, s, v = svd(core)
        each = len(s) // len(cores)
        us.append(u[:, :each]), ss.append(s[:each]), vs.append(v[:each])
    (p, _, q), (x, _, y) = svd(np.hstack(us)), svd(np.vstack(vs))
    return p @ q @ np.diag(np.concatenate(ss)) @ x @ y


def isotropic(core):
    u, s, v = svd(core)
    return s.mean() * u @ v


def merged(loras, method, density, equal):
    u = svd(np.hstack([up for up, _, _ in loras]))[0]
    v = svd(np.vstack([down for _, down, _ in loras]))[2].T
    cores = [strength * u.T @ up @ down @ v for up, down, strength in loras]
    core = {"ties": lambda: ties(cores, density), "tsv": lambda: tsv(cores), "sum": lambda: sum(cores)}[method]()
    # Directions of a singular value of 0 are chance, and with equal singular values they would count.
    if equal and np.linalg.matrix_rank(core) < min(core.shape):
        return None
    return u @ (isotropic(core) if equal else core) @ v.T


def case(rng, rows, columns, ranks, strengths):
    numbers = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    loras = [(numbers(rows, r), numbers(r, columns)) for r in ranks]
    wide = [(up.astype(np.float64), down.astype(np.float64), s) for (up, down), s in zip(loras, strengths)]
    flat = lambda x: x.ravel().tolist()
    methods = (("ties", 0.1), ("ties", 0.5), ("tsv", 1), ("sum", 1))
    results = [((m, d, e), merged(wide, m, d, e)) for m, d in methods for e in (False, True)]
    return {
        "rows": rows,
        "columns": columns,
        "strengths": strengths,
        "loras": [{"rank": len(down), "up": flat(up), "down": flat(down)} for up, down in loras],
        "results": [
            {"method": m, "density": d, "isotropic": e, "values": flat(np.round(x, 9))}
            for (m, d, e), x in results
            if x is not None
        ],
    }


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    cases = [
        case(rng, 9, 7, [2, 2], [1, 1]),
        case(rng, 8, 10, [2, 2, 2], [1, 0.5, -1]),
        # More ranks than rows: the cores are not square.
        case(rng, 3, 8, [2, 2], [1, 1]),
    ]
    pathlib.Path(__file__).with_name("references.json").write_text(json.dumps(cases) + "\n")
