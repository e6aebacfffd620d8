"""Artillery scripts, written as JSON (which is YAML): the same file goes to Artillery and Drumfire."""

import json

ROWS = 1_000


def closed(url, users, loops, insecure=False, http2=False, within_s=None):
    """`users` users with `loops` GETs each, one after the other.

    They come within a tenth of a second (10,000 within a second), so that for nearly all of the
    run they are all there, as the connections of other tools are. Artillery knows whole seconds
    only, and is slow enough for that to weigh little.
    """
    get = {"url": "/", "http2": True} if http2 else {"url": "/"}
    phase = {"duration": within_s or max(0.1, users / 10_000), "arrivalCount": users}
    config = {"target": url, "phases": [phase]}
    if insecure:
        config["tls"] = {"rejectUnauthorized": False}
    return {
        "config": config,
        "scenarios": [{"flow": [{"loop": [{"get": get}], "count": loops}]}],
    }


def scripted(url, users, loops, rows):
    """As `closed`, with a CSV row in a templated header, a JSON capture and an expectation."""
    script = closed(url, users, loops)
    script["config"]["payload"] = {"path": str(rows), "fields": ["name", "city"]}
    script["config"]["plugins"] = {"expect": {"outputFormat": "silent"}}
    get = {
        "url": "/",
        "headers": {"x-user": "{{ name }} of {{ city }}"},
        "capture": {"json": "$.pad", "as": "pad"},
        "expect": [{"statusCode": 200}],
    }
    script["scenarios"] = [{"flow": [{"loop": [{"get": get}], "count": loops}]}]
    return script


def open_load(url, rate, duration_s, pool=None):
    """`rate` users a second with one GET each."""
    config = {"target": url, "phases": [{"duration": duration_s, "arrivalRate": rate}]}
    if pool:
        config["http"] = {"pool": pool}
    return {"config": config, "scenarios": [{"flow": [{"get": {"url": "/"}}]}]}


def counted_load(url, users, duration_s):
    """So many users with one GET each, evenly over `duration_s`."""
    config = {"target": url, "phases": [{"duration": duration_s, "arrivalCount": users}]}
    return {"config": config, "scenarios": [{"flow": [{"get": {"url": "/"}}]}]}


def write(folder, script):
    """Writes the script where both can read it."""
    path = folder / "script.json"
    path.write_text(json.dumps(script, indent=2))
    return path


def write_rows(folder):
    """The CSV file that `scripted` reads."""
    path = folder / "rows.csv"
    path.write_text("".join(f"user{row},city{row % 37}\n" for row in range(ROWS)))
    return path


def drumfire(binary, script, *options):
    """The command that runs a script on one shard and says nothing."""
    return [binary, "run", "--shards", "1", "--quiet", *options, script]
