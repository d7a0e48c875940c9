"""numpy, imported when something of it is first used: a process that only asks what a runtime is makes no array.

The import takes as long as all others of such a process together. Workers import it first, and have numpy itself here: nothing is
left to be found in what is measured.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
elif sys.modules.get("numpy") is not None:
    import numpy as np

    Array = Any
else:

    class _Numpy:
        def __getattr__(self, name: str) -> Any:
            import numpy

            found = getattr(numpy, name)
            setattr(self, name, found)
            return found

    np, Array = _Numpy(), Any

__all__ = ["Array", "np"]
