"""The index of words: messages get into it some at a time, behind those who speak.

After a deletion it is rewritten, in small steps, until nothing that was freed is left in it.
"""

from tenure.stores.relational.tx import Tx

INDEXED_AT_ONCE = 100
_NAME = "freed_words"


def index_words(tx: Tx) -> int:
    """Put the words of some finished messages into the index. Returns how many; 0 when all are in it."""
    pending = tx.all("search_pending", limit=INDEXED_AT_ONCE)
    for (message_no,) in pending:
        tx.add_words(message_no)
        tx.do("search_added", message_no=message_no)
    return len(pending)


def freed_words(tx: Tx) -> None:
    """Words were taken out of the index. Its older parts hold them until they are merged with newer ones."""
    tx.frees = True
    tx.do("meta_put", name=_NAME, value="new")


def scour(tx: Tx) -> int:
    """Rewrite a part of the index, and empty the log at last. Returns 0 when there is nothing left to do."""
    tx.cleans = True
    row = tx.one("meta_get", name=_NAME)
    if row is None:
        return 0
    if tx.merge_words(begin=row[0] == "new"):
        tx.do("meta_drop", name=_NAME)
    else:
        tx.do("meta_put", name=_NAME, value="begun")
    return 1
