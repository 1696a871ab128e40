"""Published foundation models by the names of their files, which say nothing else of it.

As the table of models of mace-torch 0.3.16 has it. A file that was renamed is not recognized, but
one in the cache of its downloader is, where names keep only letters, digits and underscores.
"""

import re

_MP = "Batatia et al., arXiv:2401.00096"
_OFF = "Kovacs et al., arXiv:2312.15211"
_MIT = "MIT"
_ASL = "Academic Software License (ASL): not for commercial use"

_FAMILIES = (
    (r"202312\d\dmace128L\d\w*|MACE_MPtrj_20229", "MACE-MP-0a", _MIT, _MP),
    (r"mace_agnesi_(small|medium)", "MACE-MP-0b", _MIT, _MP),
    (r"mace(small|medium|large)densityagnesistress", "MACE-MP-0b2", _MIT, _MP),
    (r"macemp0b3\w+", "MACE-MP-0b3", _MIT, _MP),
    (r"macempa0\w+", "MACE-MPA-0", _MIT, _MP),
    (r"maceomat0\w+", "MACE-OMAT-0", _ASL, _MP),
    (r"MACEmatpes(pbe|r2scan)omatft", "MACE-MATPES-0", _ASL, _MP),
    (r"MACEOFF2\d\w*", "MACE-OFF", _ASL, _OFF),
)


def provenance_of(file: str) -> dict[str, str]:
    """What is known of a model by the name of its file: ``model``, ``licence``, ``trained_by``."""
    name = re.sub(r"\W", "", file, flags=re.ASCII)
    for pattern, model, licence, source in _FAMILIES:
        if re.fullmatch(rf"({pattern})model(rawtrue)?", name):
            return {"model": model, "licence": licence, "trained_by": source}
    return {}
