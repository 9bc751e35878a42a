"""The checkpoint of a run that waits: what the endpoint was told so far, and what it waits for."""

from ag_ui.core import Interrupt, Message
from pydantic import BaseModel, ConfigDict, ValidationError

from tenure.errors import Code, TenureError
from tenure.runners.agui.leg import Open


class Question(BaseModel):
    """An interrupt, and the call that it is about, if it is about one."""

    model_config = ConfigDict(frozen=True)

    interrupt: Interrupt
    call: Open | None


class Kept(BaseModel):
    """A run between two legs."""

    model_config = ConfigDict(frozen=True)

    leg: int
    messages: list[Message]
    open: list[Open]
    questions: list[Question]
    permits: dict[str, str | None]
    state: object

    def dumped(self) -> bytes:
        """For the checkpoint."""
        return self.model_dump_json(by_alias=True).encode()

    @staticmethod
    def loaded(data: bytes) -> "Kept":
        """From the checkpoint. Raises TenureError `internal` if this version can't read it."""
        try:
            return Kept.model_validate_json(data)
        except ValidationError as misfit:
            detail = "The run's checkpoint can't be read by this version. Send the message again."
            raise TenureError(Code.INTERNAL, detail) from misfit
