"""losant-rest for Python, in as many threads as there are requests in flight."""

import time
from concurrent.futures import ThreadPoolExecutor

import losant_rest

from contenders.measure import IDS, arguments, tell


def main() -> None:
    """Deletes through the resource's method, as its users do."""
    url, count, concurrency = arguments()
    client = losant_rest.Client(auth_token="token", url=url)

    def delete(number: int) -> None:
        assert client.user_api_token.delete(apiTokenId=IDS[number % len(IDS)])["success"]

    with ThreadPoolExecutor(concurrency) as threads:
        list(threads.map(delete, range(min(200, count))))
        clock, cpu = time.perf_counter(), time.process_time()
        list(threads.map(delete, range(count)))
        tell(time.perf_counter() - clock, time.process_time() - cpu)


main()
