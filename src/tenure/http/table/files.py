"""Files of sessions. Rows of the route table."""

from tenure.core.artifact import FileInfo
from tenure.http import files
from tenure.http.call import AnyRoute, NoBody, NoQuery, Route
from tenure.http.lists import PageQuery
from tenure.http.table.words import READ, SESSION, WRITE

FILE_ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/v1/sessions/{session_id}/files",
        summary="Send a file into a session.",
        resource="file",
        action=WRITE,
        tenant_rule=SESSION,
        query=files.UploadQuery,
        body=NoBody,
        uploads=True,
        most_bytes=files.MOST_BYTES,
        answer=FileInfo,
        status=201,
        handler=files.upload_file,
    ),
    Route(
        method="GET",
        path="/v1/sessions/{session_id}/files",
        summary="The files of a session, oldest first.",
        resource="file",
        action=READ,
        tenant_rule=SESSION,
        query=PageQuery,
        body=NoBody,
        answer=files.FilePage,
        handler=files.list_files,
    ),
    Route(
        method="GET",
        path="/v1/sessions/{session_id}/files/{file_id}",
        summary="The bytes of a file.",
        resource="file",
        action=READ,
        tenant_rule=SESSION,
        query=NoQuery,
        body=NoBody,
        media="application/octet-stream",
        handler=files.download_file,
    ),
    Route(
        method="DELETE",
        path="/v1/sessions/{session_id}/files/{file_id}",
        summary="Delete a file.",
        resource="file",
        action=WRITE,
        tenant_rule=SESSION,
        query=NoQuery,
        body=NoBody,
        status=204,
        handler=files.delete_file,
    ),
)
