"""losant-rest for Python, with one thread for each request in flight."""

from concurrent.futures import ThreadPoolExecutor

import losant_rest

from contenders.measure import Stopwatch, arguments, ids, warm_up


def main() -> None:
    """Delete tokens with the method of the resource, as users do."""
    url, count, concurrency = arguments()
    client = losant_rest.Client(auth_token="token", url=url)

    def delete(token_id: str) -> None:
        if not client.user_api_token.delete(apiTokenId=token_id)["success"]:
            raise SystemExit("the response is not a success")

    with ThreadPoolExecutor(concurrency) as threads:
        list(threads.map(delete, ids(warm_up(count, concurrency))))
        wanted = ids(count)
        stopwatch = Stopwatch()
        list(threads.map(delete, wanted))
        stopwatch.report(count)


main()
