"""How many reviews the compiled engine scores at a time, which depends on how this processor multiplies.

A batch is always full, so that no score depends on what else is in it.
"""

from __future__ import annotations

from batch_scorer.config import BFLOAT16, FLOAT32


def _features() -> frozenset[str]:
    """What the processor can do, as Linux names it; empty on other systems, and on processors that are not x86."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            found = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(found.partition(":")[2].split())


def float32_rows(features: frozenset[str]) -> int:
    """Reviews per batch in float32.

    XLA's products take six rows at a time with AVX2, and five with AVX-512: a batch that is no multiple of that costs
    as much as the next multiple. Larger ones do not fit into the nearest cache.
    """
    return 48 if "avx2" in features and "avx512f" not in features else 40


# In bfloat16 products take ten rows at a time, and larger batches are worth it: each product packs the kernel again.
BATCH_SIZES = {FLOAT32: float32_rows(_features()), BFLOAT16: 80}
