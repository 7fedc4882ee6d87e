"""Peak and clipping, defined once for whole episodes and for segments."""

import numpy as np
import numpy.typing as npt

CLIP_LEVEL = 0.99
"""A sample at or above this magnitude (full scale is 1.0) counts as clipped. It is below 1.0 because lossy coding
and resampling smooth clipped waves."""


def peak(samples: npt.NDArray[np.float32]) -> float:
    """Return the largest magnitude, full scale being 1.0; 0.0 for no samples. Any shape."""
    return max(float(samples.max()), -float(samples.min())) if samples.size else 0.0


def clipped_count(samples: npt.NDArray[np.float32]) -> int:
    """Count clipped samples over all channels. Any shape."""
    if peak(samples) < CLIP_LEVEL:  # the usual case costs no mask
        return 0
    return int(np.count_nonzero(np.abs(samples) >= CLIP_LEVEL))
