"""The index of words: messages get into it some at a time, behind those who speak.

After a deletion it is rewritten, in small steps, until nothing that was freed is left in it.
"""

from tenure.stores.sqlite.batch import Tx

PAGES_AT_ONCE = 256
INDEXED_AT_ONCE = 100
_NAME = "freed_words"


def index_words(tx: Tx) -> int:
    """Put the words of some finished messages into the index. Returns how many; 0 when all are in it."""
    pending = tx.all("search_pending", limit=INDEXED_AT_ONCE)
    for (message_no,) in pending:
        tx.do("search_add", message_no=message_no)
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
    # A negative number begins a merge of everything, positive ones go on with it.
    sign = -1 if row[0] == "new" else 1
    before = tx.db.total_changes
    tx.do("search_merge", pages=sign * PAGES_AT_ONCE)
    if sign > 0 and tx.db.total_changes - before < 2:
        tx.do("meta_drop", name=_NAME)
    else:
        tx.do("meta_put", name=_NAME, value="begun")
    return 1
