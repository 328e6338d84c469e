"""What a kernel's shape leaves of the rate that large ones sustain; shares in (0, 1].

GPU: a product is cut into tiles that the SMs take in waves; tiles at the edges and the last wave are
partly idle (NVIDIA, Matrix Multiplication Background, DU-09799-001, sections 2.3 and 3). On the
products of NeuSight's dataset that compute binds (fp32, 0.2 ms and more) the share explains a third
of the median error of batched products (A100: 17 to 12 %, P100: 15 to 10 %, T4: 14 to 10 %) and none
of the error of single large ones.

CPU: ONNX Runtime's mlas packs 16 columns, starts every row block and column anew, and splits a
product between threads by rows or by columns (microsoft/onnxruntime core/mlas/lib/sgemm.cpp).
"""

from __future__ import annotations

from math import ceil
from typing import Final

TILES: Final = (
    *((256, 128), (128, 256), (128, 128), (256, 64), (64, 256)),
    *((128, 64), (64, 128), (64, 64)),
)
"""Rows and columns of a tile that cuBLAS chooses from: DU-09799, section 2.3."""
COLUMNS: Final = 16
"""Columns that mlas packs and hands to a thread together: MLAS_SGEMM_STRIDEN_THREAD_ALIGN."""
ROW_COST: Final = 1.5
"""Rows' worth of time that loading a panel of B takes.

Measured with N = K = 1024 on one core: 47, 162, 181 and 226 of 245 GFLOP/s for 1, 4, 8 and 16 rows
on Zen 5, which is 4.2 to 1.4 rows; 41, 79 and 110 of 115 for 1, 2 and 4 on Zen 4: 1.8 to 0.2.
"""
DEPTH_COST: Final = 3.3
"""The same for K: K = 17 reaches 203 of 245 GFLOP/s on Zen 5 and 96 of 115 on Zen 4."""
THREAD_MACS: Final = 65536
"""mlas adds a thread for so many MACs: MLAS_SGEMM_THREAD_COMPLEXITY."""
THREAD_CYCLES: Final = 100_000
"""Eigen's cost model adds a thread for so many cycles, and takes as many to start with.

Eigen TensorCostModel.h, which ONNX Runtime's thread pool took over. Observed with 1.32.0 and two
threads: Add runs on one at 65,536 floats (200 thousand cycles) and on both at 131,072.
"""
BYTE_CYCLES: Final = 11 / 64
"""Cycles that Eigen's cost model counts for a byte loaded or stored."""


def tile_share(m: int, n: int, tile: tuple[int, int]) -> float:
    """M N / (ceil(M / tm) tm ceil(N / tn) tn): results among what the tiles compute."""
    rows, columns = tile
    return m * n / (ceil(m / rows) * rows * ceil(n / columns) * columns)


def wave_share(tiles: int, units: int) -> float:
    """T / (ceil(T / units) units) for T tiles: work among what the waves have room for."""
    return tiles / (ceil(tiles / units) * units)


def gpu_product_share(batch: int, m: int, n: int, units: int) -> float:
    """Tile share times wave share with the tile that wastes least.

    Args:
        batch: Independent products.
        m: Rows of one product.
        n: Columns of one product.
        units: SMs or compute units.
    """
    return max(
        tile_share(m, n, tile) * wave_share(batch * ceil(m / tile[0]) * ceil(n / tile[1]), units)
        for tile in TILES
    )


def padded_share(size: int, block: int) -> float:
    """Share of a size in its multiple of a block: 17 columns fill 32."""
    return size / (ceil(size / block) * block)


def panel_share(m: int, k: int) -> float:
    """M / (M + 1.5) x K / (K + 3.3): what is left after loading panels and storing results."""
    return m / (m + ROW_COST) * k / (k + DEPTH_COST)


def cpu_product_share(batch: int, m: int, n: int, k: int, threads: int) -> float:
    """Share of all threads' time that is spent on results; columns stand padded.

    min(threads, MACs / 65536 + 1) threads are wanted, each product gets an equal number of them,
    and is split along its longer side; products are handed out whole after that.
    """
    wanted = min(threads, batch * m * n * k // THREAD_MACS + 1)
    blocks = ceil(n / COLUMNS)
    parts = min(max(1, wanted // batch), blocks if n > m else m)
    longest = m * ceil(blocks / parts) * COLUMNS if n > m else ceil(m / parts) * blocks * COLUMNS
    rounds = ceil(batch * parts / wanted)
    return batch * m * n / (threads * rounds * longest)


def stream_threads(moved: int, operations: int, threads: int) -> int:
    """Threads that ONNX Runtime gives to a kernel that moves bytes and computes element by element."""
    cycles = moved * BYTE_CYCLES + operations
    return max(1, min(threads, int((cycles - THREAD_CYCLES) / THREAD_CYCLES + 0.9)))
