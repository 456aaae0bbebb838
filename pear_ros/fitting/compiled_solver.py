# SPDX-License-Identifier: Apache-2.0
"""The body solver in compiled code: the method of pear_ros.fitting.solver, in double precision.

The normal equations are summed over the tree, as in the composite rigid body algorithm
(Featherstone, Rigid Body Dynamics Algorithms, chapter 6). A rotation of joint k moves a point p
with the velocity S_k, a spatial vector [angular; linear about the origin]. The row b = [p x a; a]
of a residual whose derivative is a = dr/dp turns that into the change of the residual. So, for k
above or equal to l,

    H_kl = S_k' M_l S_l,    M_l = sum of w b b' over the points that joint l moves

Numba compiles this module when it is imported for the first time, which takes seconds, and caches
the result on disk: beside this file or, if that cannot be written, in the user's cache directory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# Sums may be reordered and vectorised; infinite standard deviations keep their meaning.
_FASTMATH = {"contract", "reassoc", "nsz"}
_SMALL_ANGLE = 1e-4


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _clear(values: Doubles) -> None:
    """Set all values (N,) to 0."""
    for n in range(len(values)):
        values[n] = 0.0


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _copy(source: Doubles, target: Doubles) -> None:
    """Copy values (N,)."""
    for n in range(len(source)):
        target[n] = source[n]


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _rotate_by(R: Doubles, v: Doubles, out: Doubles) -> None:
    """Set `out` (3, 3) to R exp(v), by Rodrigues' formula; v (3,) in radians."""
    half = 0.5 * np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] + 1e-24)
    share = np.sin(half) / half
    s, c = share * np.cos(half), 0.5 * share * share
    x, y, z = v[0], v[1], v[2]
    for i in range(3):
        a, b, d = R[i, 0], R[i, 1], R[i, 2]
        out[i, 0] = (
            a * (1 - c * (y * y + z * z)) + b * (c * x * y + s * z) + d * (c * x * z - s * y)
        )
        out[i, 1] = (
            a * (c * x * y - s * z) + b * (1 - c * (x * x + z * z)) + d * (c * y * z + s * x)
        )
        out[i, 2] = (
            a * (c * x * z + s * y) + b * (c * y * z - s * x) + d * (1 - c * (x * x + y * y))
        )


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _rotation_between(A: Doubles, B: Doubles, out: Doubles) -> None:
    """Set `out` (3,) to the rotation vector of A' B, radians."""
    trace, x, y, z = 0.0, 0.0, 0.0, 0.0
    for i in range(3):
        trace += A[i, 0] * B[i, 0] + A[i, 1] * B[i, 1] + A[i, 2] * B[i, 2]
        x += (A[i, 2] * B[i, 1] - A[i, 1] * B[i, 2]) / 2
        y += (A[i, 0] * B[i, 2] - A[i, 2] * B[i, 0]) / 2
        z += (A[i, 1] * B[i, 0] - A[i, 0] * B[i, 1]) / 2
    sine, ratio = np.sqrt(x * x + y * y + z * z), 1.0
    if sine > _SMALL_ANGLE:
        ratio = np.arctan2(sine, (trace - 1) / 2) / sine
    out[0], out[1], out[2] = ratio * x, ratio * y, ratio * z


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _pose(
    R: Doubles,
    betas: Doubles,
    t: Doubles,
    bones: Doubles,
    bone_dirs: Doubles,
    parents: Indices,
    G: Doubles,
    o: Doubles,
) -> None:
    """Set orientations `G` (22, 3, 3) and positions `o` (22, 3) of the joints: kinematics."""
    bone = np.empty(3)
    for j in range(len(parents)):
        for i in range(3):
            bone[i] = bones[j, i]
            for b in range(len(betas)):
                bone[i] += bone_dirs[j, i, b] * betas[b]
        if j == 0:
            for i in range(3):
                o[0, i] = bone[i] + t[i]
                for k in range(3):
                    G[0, i, k] = R[0, i, k]
            continue
        above = parents[j]
        for i in range(3):
            o[j, i] = o[above, i]
            for k in range(3):
                o[j, i] += G[above, i, k] * bone[k]
                G[j, i, k] = 0.0
                for q in range(3):
                    G[j, i, k] += G[above, i, q] * R[j, q, k]


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _residuals(
    G: Doubles,
    o: Doubles,
    joint: Indices,
    offset: Doubles,
    pixels: Doubles,
    error: Doubles,
    camera: Doubles,
    min_depth: float,
    robust_scale: float,
    p: Doubles,
    r: Doubles,
    f: Doubles,
) -> float:
    """Set points `p` (N, 3), residuals `r` (N, 2) and factors `f` (N,) of the loss; return c."""
    cost = 0.0
    for n in range(len(joint)):
        j = joint[n]
        if not np.isfinite(error[n]):
            f[n] = 0.0
            continue
        for i in range(3):
            p[n, i] = o[j, i]
            for k in range(3):
                p[n, i] += G[j, i, k] * offset[n, k]
        z = max(p[n, 2], min_depth)
        s = 0.0
        for i in range(2):
            r[n, i] = (p[n, i] / z * camera[i] + camera[2 + i] - pixels[n, i]) / error[n]
            s += r[n, i] * r[n, i]
        f[n] = 1.0 / (1.0 + s / robust_scale**2)
        cost += s * f[n]
    return cost


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _prior_cost(
    R: Doubles,
    betas: Doubles,
    t: Doubles,
    prior_R: Doubles,
    prior_betas: Doubles,
    prior_t: Doubles,
    precision: Doubles,
    g: Doubles,
) -> float:
    """Set `g` (P,) to the priors' gradient sum W_k d_k; return their cost sum d_k' W_k d_k."""
    joints, num_betas = len(R), len(betas)
    cost, turn = 0.0, np.empty(3)
    _clear(g)
    for k in range(len(precision)):
        for n in range(len(g)):
            if n < 3 * joints:
                if n % 3 == 0:
                    _rotation_between(prior_R[k, n // 3], R[n // 3], turn)
                d = turn[n % 3]
            elif n < 3 * joints + num_betas:
                d = betas[n - 3 * joints] - prior_betas[k, n - 3 * joints]
            else:
                d = t[n - 3 * joints - num_betas] - prior_t[k, n - 3 * joints - num_betas]
            g[n] += precision[k, n] * d
            cost += precision[k, n] * d * d
    return cost


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _sum_points(
    joint: Indices,
    error: Doubles,
    camera: Doubles,
    min_depth: float,
    p: Doubles,
    r: Doubles,
    f: Doubles,
    M: Doubles,
    m: Doubles,
) -> None:
    """Set `M` (22, 6, 6) to the sums of w b b', `m` (22, 6) to those of w b r, by joint."""
    _clear(M.reshape(-1))
    _clear(m.reshape(-1))
    a, b = np.zeros(3), np.empty(6)
    for n in range(len(joint)):
        if f[n] == 0.0:
            continue
        j, z, w = joint[n], max(p[n, 2], min_depth), f[n] * f[n]
        for i in range(2):
            # d(x/z) = (dx - x/z dz) / z
            a[1 - i], a[i] = 0.0, camera[i] / (z * error[n])
            a[2] = -a[i] * p[n, i] / z
            for k in range(3):
                x, y = (k + 1) % 3, (k + 2) % 3
                b[k] = p[n, x] * a[y] - p[n, y] * a[x]
                b[3 + k] = a[k]
            for k in range(6):
                m[j, k] += w * b[k] * r[n, i]
                for x in range(6):
                    M[j, k, x] += w * b[k] * b[x]


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _normal_equations(
    G: Doubles,
    o: Doubles,
    bone_dirs: Doubles,
    parents: Indices,
    M: Doubles,
    m: Doubles,
    H: Doubles,
    g: Doubles,
) -> None:
    """Set the lower triangle of `H` (P, P) and add to `g` (P,) what the points contribute.

    `M` and `m` are those of each joint's own points, and are summed up along the tree.
    """
    joints, num_betas = len(parents), bone_dirs.shape[2]
    first_beta = 3 * joints
    first_t = first_beta + num_betas
    _clear(H.reshape(-1))
    # D_j (3, B): how betas move joint j, and the points on it.
    D = np.empty((joints, 3, num_betas))
    for j in range(joints):
        for i in range(3):
            for b in range(num_betas):
                if j == 0:
                    D[0, i, b] = bone_dirs[0, i, b]
                    continue
                D[j, i, b] = D[parents[j], i, b]
                for k in range(3):
                    D[j, i, b] += G[parents[j], i, k] * bone_dirs[j, k, b]
    # E_l (6, B): sum of M_j [0; D_j] over the joints j that joint l moves.
    E = np.zeros((joints, 6, num_betas))
    for j in range(joints):
        for k in range(6):
            for i in range(3):
                for b in range(num_betas):
                    E[j, k, b] += M[j, k, 3 + i] * D[j, i, b]
        for i in range(3):
            for b in range(num_betas):
                g[first_beta + b] += D[j, i, b] * m[j, 3 + i]
                for c in range(num_betas):
                    H[first_beta + b, first_beta + c] += D[j, i, b] * E[j, 3 + i, c]
    for j in range(joints - 1, 0, -1):
        above = parents[j]
        for k in range(6):
            m[above, k] += m[j, k]
            for q in range(6):
                M[above, k, q] += M[j, k, q]
            for b in range(num_betas):
                E[above, k, b] += E[j, k, b]
    for i in range(3):
        g[first_t + i] += m[0, 3 + i]
        for k in range(3):
            H[first_t + i, first_t + k] = M[0, 3 + i, 3 + k]
        for b in range(num_betas):
            H[first_t + i, first_beta + b] = E[0, 3 + i, b]
    # S_j (3, 6): the velocity of rotations about the joint's own axes, one in each row.
    S = np.empty((joints, 3, 6))
    MS = np.empty(6)
    for j in range(joints):
        for i in range(3):
            x, y, z = G[j, 0, i], G[j, 1, i], G[j, 2, i]
            S[j, i, 0], S[j, i, 1], S[j, i, 2] = x, y, z
            S[j, i, 3] = o[j, 1] * z - o[j, 2] * y
            S[j, i, 4] = o[j, 2] * x - o[j, 0] * z
            S[j, i, 5] = o[j, 0] * y - o[j, 1] * x
            row = 3 * j + i
            for k in range(6):
                g[row] += S[j, i, k] * m[j, k]
                MS[k] = 0.0
                for q in range(6):
                    MS[k] += M[j, k, q] * S[j, i, q]
                for b in range(num_betas):
                    H[first_beta + b, row] += S[j, i, k] * E[j, k, b]
            for k in range(3):
                H[first_t + k, row] = MS[3 + k]
            above = j
            while above >= 0:
                for k in range(3):
                    total = 0.0
                    for q in range(6):
                        total += S[above, k, q] * MS[q]
                    H[row, 3 * above + k] = total
                above = parents[above]


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _dot(a: Doubles, b: Doubles, count: int) -> float:
    """Return the scalar product of the first `count` entries."""
    total = 0.0
    for k in range(count):
        total += a[k] * b[k]
    return total


@njit(cache=True, nogil=True, fastmath=_FASTMATH)
def _damped_step(H: Doubles, g: Doubles, damping: float, L: Doubles, dx: Doubles) -> None:
    """Set `dx` (P,) to -(H + lambda diag(H))^-1 g, by the Cholesky factorisation L L'."""
    count = len(g)
    for i in range(count):
        for j in range(i):
            L[i, j] = (H[i, j] - _dot(L[i], L[j], j)) / L[j, j]
        L[i, i] = np.sqrt(H[i, i] * (1.0 + damping) + 1e-6 - _dot(L[i], L[i], i))
        dx[i] = (-g[i] - _dot(L[i], dx, i)) / L[i, i]
    for i in range(count - 1, -1, -1):
        dx[i] /= L[i, i]
        for j in range(i):
            dx[j] -= L[i, j] * dx[i]


@njit(
    "float64(float64[:, :, ::1], float64[::1], float64[::1],"  # R, betas, t
    "float64[:, ::1], float64[:, :, ::1], int64[::1],"  # bones, bone_dirs, parents
    "int64[::1], float64[:, ::1], float64[:, ::1], float64[::1],"  # joint, offset, pixels, error
    "float64[:, :, :, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1],"  # priors
    "float64[::1], float64, float64, float64, int64, float64)",  # camera and constants
    cache=True,
    nogil=True,
    fastmath=_FASTMATH,
)
def solve(
    R: Doubles,
    betas: Doubles,
    t: Doubles,
    bones: Doubles,
    bone_dirs: Doubles,
    parents: Indices,
    joint: Indices,
    offset: Doubles,
    pixels: Doubles,
    error: Doubles,
    prior_R: Doubles,
    prior_betas: Doubles,
    prior_t: Doubles,
    precision: Doubles,
    camera: Doubles,
    min_depth: float,
    robust_scale: float,
    damping: float,
    max_steps: int,
    min_decrease: float,
) -> float:
    """Move the state `R` (22, 3, 3), `betas` (B,), `t` (3,) to the least cost; return the cost.

    `bones` (22, 3), `bone_dirs` (22, 3, B) and `parents` (22,): the skeleton. `joint` (N,),
    `offset` (N, 3), `pixels` (N, 2) and `error` (N,): the landmarks. `prior_R` (K, 22, 3, 3),
    `prior_betas` (K, B), `prior_t` (K, 3) and `precision` (K, P): the priors. `camera`: fx, fy, cx,
    cy. The rest as in pear_ros.fitting.solver.
    """
    joints, count, P = len(parents), len(joint), precision.shape[1]
    G, o = np.empty((joints, 3, 3)), np.empty((joints, 3))
    p, r, f = np.zeros((count, 3)), np.zeros((count, 2)), np.empty(count)
    M, m = np.empty((joints, 6, 6)), np.empty((joints, 6))
    H, L, g, dx = np.empty((P, P)), np.empty((P, P)), np.empty(P), np.empty(P)
    new_R, new_betas, new_t = np.empty_like(R), np.empty_like(betas), np.empty_like(t)
    _pose(R, betas, t, bones, bone_dirs, parents, G, o)
    cost = _residuals(
        G, o, joint, offset, pixels, error, camera, min_depth, robust_scale, p, r, f
    ) + _prior_cost(R, betas, t, prior_R, prior_betas, prior_t, precision, g)
    linearised = False
    gradient = np.empty(P)
    for _ in range(max_steps):
        if not linearised:
            _copy(g, gradient)
            _sum_points(joint, error, camera, min_depth, p, r, f, M, m)
            _normal_equations(G, o, bone_dirs, parents, M, m, H, gradient)
            for k in range(len(precision)):
                for n in range(P):
                    H[n, n] += precision[k, n]
            linearised = True
        _damped_step(H, gradient, damping, L, dx)
        for j in range(joints):
            _rotate_by(R[j], dx[3 * j : 3 * j + 3], new_R[j])
        for b in range(len(betas)):
            new_betas[b] = betas[b] + dx[3 * joints + b]
        for i in range(3):
            new_t[i] = t[i] + dx[P - 3 + i]
        new_t[2] = max(new_t[2], min_depth)
        _pose(new_R, new_betas, new_t, bones, bone_dirs, parents, G, o)
        trial = _residuals(
            G, o, joint, offset, pixels, error, camera, min_depth, robust_scale, p, r, f
        ) + _prior_cost(new_R, new_betas, new_t, prior_R, prior_betas, prior_t, precision, g)
        if not trial < cost:
            damping *= 50.0
            continue
        decrease = 1.0 - trial / cost
        _copy(new_R.reshape(-1), R.reshape(-1))
        _copy(new_betas, betas)
        _copy(new_t, t)
        cost = trial
        damping /= 5.0
        linearised = False
        if decrease < min_decrease:
            break
    return cost
