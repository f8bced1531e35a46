"""Gets every URL of the command line with one client, and prints what it got."""
import sys
import httpx

with httpx.Client(timeout=20) as client:
    for url in sys.argv[1:]:
        response = client.get(url)
        response.raise_for_status()
        print(response.text)
