"""Numbers with bounds, for pydantic models."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Range:
    """What a number may be, in a text and in a JSON schema."""

    low: float
    high: float
    unit: str = ""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(schema) | {"minimum": self.low, "maximum": self.high}

    def _checked(self, value: float) -> float:
        if not self.low <= value <= self.high:  # nor nan
            raise ValueError(f"expected {self.low:g} to {self.high:g}{self.unit}")
        return value


def integer(value: Any) -> Any:
    """What compares equal to an integer need not be one."""
    if type(value) is not int:
        raise ValueError("expected an integer")
    return value
