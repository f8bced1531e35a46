"""Gets every URL of the command line in one session, and prints what it got."""
import sys
import requests

with requests.Session() as session:
    for url in sys.argv[1:]:
        response = session.get(url, timeout=20)
        response.raise_for_status()
        print(response.text)
