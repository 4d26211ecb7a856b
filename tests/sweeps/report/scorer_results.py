"""What a scorer stage leaves behind, to report on."""

from __future__ import annotations

from typing import Any

SCORER: dict[str, Any] = {
    "accuracies": {"person x action": 0.975},
    "last_accuracies": {"person x action": 0.95},
    "chances": {"person x action": 0.025},
    "sensitivity": {
        "rows": {
            "real": {"inception_score": 9.0, "label_agreement": 1.0, "kernel_distance": -0.01},
            "shuffled": {"inception_score": 9.5, "label_agreement": 0.5, "kernel_distance": 0.05},
        },
        "num_clips": 30,
        "num_distance_clips": 15,
        "gaps": {
            "inception_score": {"shuffled": {"difference": -0.5, "standard_error": 0.5}},
            "kernel_distance": {"shuffled": {"difference": 0.06, "standard_error": 0.02}},
        },
        "num_blocks": 28,
        "unit": "video",
        "refusals": {"inception_score": "inception_score does not tell", "kernel_distance": None},
    },
    "growth": {
        "sizes": (16, 1_024, 9_000),
        "values": {
            "inception_score": {"16": (5.0, 0.5), "1024": (9.0, 0.1), "9000": (9.25, 0.0)},
            "kernel_distance": {"16": (0.125, 0.25)},
        },
        "num_clips": 30,
    },
    "marked": {"validation": 1_024, "report": 9_000},
}
