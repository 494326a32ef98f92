"""Makes the second client importable as `reference_client`, and this folder's modules by their names."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
