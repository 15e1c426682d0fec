"""dlt's REST client over five feeds into Parquet, as it comes or tuned.

Imports nothing of ours, so that an interpreter of its own can run it.

    python dlt_loop.py INFO.json FOLDER default|tuned path …

Tuned is what its documentation names for speed: no child tables, resources in threads, several normalizing and loading workers, large
buffers, intermediate files without compression.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

TUNED = {
    "EXTRACT__WORKERS": "5",
    "EXTRACT__DATA_WRITER__BUFFER_MAX_ITEMS": "50000",
    "NORMALIZE__WORKERS": "2",
    "NORMALIZE__START_METHOD": "spawn",
    "NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS": "50000",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "EXTRACT__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "LOAD__WORKERS": "5",
}


def main(info: dict[str, Any], folder: Path, mode: str, paths: list[str]) -> dict[str, Any]:
    """Load the feeds; return the peak memory of this process and of its largest child."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    if mode == "tuned":
        os.environ.update(TUNED)
    import dlt  # noqa: PLC0415 - reads its settings from the environment
    from dlt.sources.helpers.rest_client import RESTClient  # noqa: PLC0415
    from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials  # noqa: PLC0415
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator  # noqa: PLC0415

    class Chain(JSONResponseCursorPaginator):
        def update_state(self, response: Any, data: Any = None) -> None:
            super().update_state(response, data)
            if not response.json()["hasMore"]:
                self._has_next_page = False

    tenant = info["tenants"][0]
    auth = OAuth2ClientCredentials(
        access_token_url=info["auth_url"],
        client_id=tenant["client_id"],
        client_secret=tenant["client_secret"],
        access_token_request_data={},
    )
    client = RESTClient(
        base_url=info["api_url"], headers={"ST-App-Key": tenant["app_key"]}, auth=auth, data_selector="data",
        paginator=Chain(cursor_path="continueFrom", cursor_param="from"),
    )  # fmt: skip

    def feed(path: str) -> Any:
        yield from client.paginate(
            path.replace("{tenant}", str(tenant["id"])), paginator=Chain(cursor_path="continueFrom", cursor_param="from")
        )

    resources = [
        dlt.resource(
            feed, name=path.split("/")[1] + "_" + path.rsplit("/", 1)[-1], parallelized=mode == "tuned",
            max_table_nesting=0 if mode == "tuned" else None,
        )(path)
        for path in paths
    ]  # fmt: skip
    destination = dlt.destinations.filesystem(bucket_url=(folder / "dlt").as_uri())
    pipeline = dlt.pipeline("bench", pipelines_dir=str(folder / "pipelines"), destination=destination, dataset_name="lake")
    pipeline.run(resources, loader_file_format="parquet")
    rows = sum(count for name, count in pipeline.last_trace.last_normalize_info.row_counts.items() if "__" not in name and name[0] != "_")
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"rows": rows, "peak_mb": round(peaks[0]), "largest_child_mb": round(peaks[1])}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])))
