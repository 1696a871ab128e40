"""Published foundation models by the names of their files, which say nothing else of it.

As the table of models of mace-torch 0.3.16 has it. A file that was renamed is not recognized.
"""

import re

_MP = "Batatia et al., arXiv:2401.00096"
_OFF = "Kovacs et al., arXiv:2312.15211"
_MIT = "MIT"
_ASL = "Academic Software License (ASL): not for commercial use"

_FAMILIES = (
    (r"2023-12-\d\d-mace-128-L\d.*|MACE_MPtrj_2022\.9", "MACE-MP-0a", _MIT, _MP),
    (r"mace_agnesi_(small|medium)", "MACE-MP-0b", _MIT, _MP),
    (r"mace-(small|medium|large)-density-agnesi-stress", "MACE-MP-0b2", _MIT, _MP),
    (r"mace-mp-0b3-\w+", "MACE-MP-0b3", _MIT, _MP),
    (r"mace-mpa-0-\w+", "MACE-MPA-0", _MIT, _MP),
    (r"mace-omat-0-\w+", "MACE-OMAT-0", _ASL, _MP),
    (r"MACE-matpes-(pbe|r2scan)-omat-ft", "MACE-MATPES-0", _ASL, _MP),
    (r"MACE-OFF2\d\w*", "MACE-OFF", _ASL, _OFF),
)


def provenance_of(file: str) -> dict[str, str]:
    """What is known of a model by the name of its file: ``model``, ``licence``, ``trained_by``."""
    for pattern, model, licence, source in _FAMILIES:
        if re.fullmatch(rf"({pattern})\.model", file):
            return {"model": model, "licence": licence, "trained_by": source}
    return {}
