"""A landing folder with every kind of hostile input of contract 3-5 among regular data, written by hand."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

EVENT: dict[str, Any] = {
    "timestamp": "2025-06-10T12:00:00Z",
    "org_id": "org_a",
    "resource_id": "res_1",
    "service": "compute",
    "region": "us-east",
    "metric": "requests",
    "value": 100,
    "unit": "count",
    "cost_usd_increment": 1.5,
    "schema_version": 2,
    "carbon_kg": 0.25,
}
UNITS = {"requests": "count", "cpu_hours": "hours", "storage_gb_hours": "gb_hours"}


def event(event_id: Any, **changes: Any) -> str:
    """A good event with some fields changed."""
    return json.dumps({"event_id": event_id, **EVENT, **changes})


def spliced(event_id: str, field: str, text: str) -> str:
    """A good event whose field holds a JSON text as it stands."""
    return event(event_id, **{field: "@@"}).replace('"@@"', text)


def without(event_id: str, field: str) -> str:
    return json.dumps({key: value for key, value in {"event_id": event_id, **EVENT}.items() if key != field})


def regular(days: int = 24, prefix: str = "reg") -> list[str]:
    """Two organisations, two services, 24 days: enough for baselines, with spikes and a wild day."""
    lines = []
    number = 0
    for day in range(days):
        moment = datetime(2025, 5, 20, 1, 30, tzinfo=timezone.utc) + timedelta(days=day)
        for org in ("org_a", "org_b"):
            for service, metric in (("compute", "cpu_hours"), ("genai", "requests"), ("storage", "storage_gb_hours")):
                if service == "storage" and (org == "org_b" or day % 3):
                    continue
                for part in range(2):
                    number += 1
                    value = 10 + (number * 7) % 13
                    cost = round(value * 0.31 + (number * 11 % 17) / 100, 4)
                    if number in (41, 90):
                        cost *= 40  # a spike of the unit price
                    if day == 20 and org == "org_a" and service == "genai":
                        cost, value = 60 + part, value * 20  # a wild day
                    fields: dict[str, Any] = {
                        "timestamp": (moment + timedelta(hours=part * 7)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "org_id": org,
                        "resource_id": f"res_{1 + number % 3}",
                        "service": service,
                        "metric": metric,
                        "value": str(value) if number % 9 == 0 else value,
                        "unit": None if number % 11 == 0 else UNITS[metric],
                        "cost_usd_increment": cost,
                        "schema_version": 1 if number % 5 == 0 else 2,
                    }
                    if service == "genai" and fields["schema_version"] == 2:
                        fields["genai_tokens"] = 1000 + number
                    lines.append(event(f"{prefix}_{number:04d}", **fields))
    return lines


def malformed() -> list[bytes]:
    """Lines that are not exactly one JSON object in UTF-8."""
    good = event("bad_json")
    texts = [
        "{}{}", "[]", "[{}]", f"[{good}]", "1", '"text"', '""', "null", "true", "NaN", "{", "}", "not json", '{"a":1,}',
        "{'a':1}", "{a:1}", '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":1.}', '{"a":"\t"}', '{"a":"\\x"}', '{"a" 1}',
        f"{good}{good}", f"{good},{good}", f"{good} tail", f"{good}]", f"{good[:-1]}", f"{good},",
        f'{good}],"x":[{{}}', f'{good}],"ok":1,"x":[', f'{good}],"ok":1}}', f"\ufeff{good}", f"\u00a0{good}",
        good.replace("us-east", "us-east\\u00e"), good.replace('us-east"', "us-east\\q"),
        good.replace('us-east"', "us-east\0"), good.replace("bad_json", "bad\\u00e"),
        f'],"r":[{good}', f'1],"r":[{good}', f'{{}},null],"r":[{good}',
        "{\"a\": tru}", '{"a":1}/* comment */', '{"a":"\x00"}', f"{good},1", f"{good} , null",
    ]  # fmt: skip
    return [*(text.encode() for text in texts), b'{"event_id": "\xff\xfe"}', b"\xff", b'{"event_id": "\xc0\xaf"}']


def timestamps() -> list[str]:
    good = [
        "2025-06-01T10:00", "2025-06-01 10:00:00", "2025-06-01T10:00:00.5Z", "2025-06-01T10:00:00.123456789+02:00",
        "2025-06-01T23:30:00-0330", "2025-06-01T00:15+0545", "2024-02-29T10:00Z", "2000-01-01T00:30+02:00",
        "2025-06-02T01:00:00+14:00", "2025-06-01T10:00:00.999999999999Z", "2025-06-01T10:00:59-00:00",
    ]  # fmt: skip
    bad = [
        "2025-06-01", "2025-06-01T10", "2025-06-01T10:00:00z", "2025-02-29T10:00Z", "2025-13-01T10:00Z", "", " ",
        "2025-06-01T24:00Z", "2025-06-01T10:60Z", "2025-06-01T10:00:60Z", "2025-06-01T10:00:00.Z", "1999-12-31T23:59Z",
        "2025-06-01T10:00+02", "2025-06-01T10:00 Z", "yesterday", "now", "epoch", "1717236000", "2025-6-1T10:00Z",
        " 2025-06-01T10:00Z", "2025-06-01T10:00:00Z\n", "9999-12-31T23:59-01:00", "+2025-06-01T10:00Z",
        "2025-06-01T10:00UTC", "2025-06-01T10:00:00,5Z", "T10:00", "12025-06-01T10:00Z", "2025-06-01T10:00+02:60",
    ]  # fmt: skip
    lines = [event(f"ts_good_{n}", timestamp=text) for n, text in enumerate(good)]
    lines += [event(f"ts_bad_{n}", timestamp=text) for n, text in enumerate(bad)]
    lines += [event(f"ts_type_{n}", timestamp=value) for n, value in enumerate([None, 1717236000, True, {}, []])]
    lines.append(event("ts_bad_all", timestamp="soon", org_id=" ", cost_usd_increment=-3, service="moon"))
    now = datetime.now(timezone.utc)
    for hours in (12, 48, 24 * 365 * 60):
        lines.append(event(f"future_{hours}", timestamp=(now + timedelta(hours=hours)).isoformat()))
    lines.append(event("far_future", timestamp="9999-12-31T23:59:59Z"))
    return [*lines, without("ts_absent", "timestamp")]


def numbers() -> list[str]:
    """Every way to write a number, and what looks like one, in each of the numeric fields."""
    quoted = [
        "5", " 5.25 ", "+7", "1e2", "1E+2", ".5", "5.", "0.0000005", "0.00000049", "1234567890.123456789", "", " ",
        "abc", "NaN", "Infinity", "-Infinity", "1,000", "1_000", "0x10", "5d", "5f", "1e", "\u0661",
        "999999999999.999999",
        "999999999999.9999994", "999999999999.9999995", "1e12", "1e11", "1e400", "1e99999999999", "1e-99999999999",
        "000000000000000000000000000000000000000000001.5", "null", "true", "0e999", "1\n", "--1", "1e0000000002",
        "0." + "0" * 60 + "1", "1" * 60, "123456.7890123456789012345678901234567890123456789012345678901234567890",
    ]  # fmt: skip
    bare = [
        "0", "-0", "-0.0", "5.10", "1e2", "1.5E-3", "NaN", "Infinity", "-Infinity", "true", "false", "[]", "{}", "[5]",
        "123456789.123456789012345678", "0.12345650000000000001", "0.1234565", "0.0000005", "999999999999.999999",
        "999999999999.9999995", "1000000000000", "99999999999999999999999999", "1e400", "1e-400", "1e11", "1" * 60,
        "0.30000000000000000000000000000000000000004", "100000000000.1234565", "12345678901234567", "0e500",
    ]  # fmt: skip
    lines = []
    for field, short in (("value", "v"), ("cost_usd_increment", "c"), ("carbon_kg", "k"), ("genai_tokens", "t")):
        lines += [event(f"num_{short}_q{n}", **{field: text}) for n, text in enumerate(quoted)]
        lines += [spliced(f"num_{short}_b{n}", field, text) for n, text in enumerate(bare)]
        lines += [event(f"num_{short}_null", **{field: None}), without(f"num_{short}_absent", field)]
        for n, text in enumerate(["-1", "-0.01", "-0.0100004", "-0.0100005", "-0.0000004", "-0.0000005", "-1e13"]):
            lines += [spliced(f"num_{short}_n{n}", field, text), event(f"num_{short}_nq{n}", **{field: text})]
    return lines


def words() -> list[str]:
    return [
        *(
            event(f"svc_{n}", service=w)
            for n, w in enumerate(["Compute", " GENAI\t", "net\u212aing", "moon", "", None, 5, []])
        ),
        *(event(f"kelvin_{n}", service=w) for n, w in enumerate(["networ\u212aing", "\u3000storage\u3000"])),
        *(
            event(f"reg_x{n}", region=w)
            for n, w in enumerate(["US-EAST-1", " eu-west ", "mars", "", None, " ", 7, "\u00c9U"])
        ),
        *(
            event(f"met_{n}", metric=w)
            for n, w in enumerate([" Requests", "REQUESTS", "clicks", "", None, ["requests"]])
        ),
        *(event(f"unit_{n}", unit=w) for n, w in enumerate([" COUNT ", "hours", "", None, " ", 0, [], {}, "counts"])),
        event("unit_value_null", value=None, unit=None),
        event("unit_given_value_null", value=None, unit="count"),
        event("unit_wrong_value_null", value=None, unit="hours"),
        event("unit_and_metric", metric="clicks", unit="hours"),
        event("unit_bad_value", value="x", unit=None),
        *(
            event(f"ver_{n}", schema_version=v)
            for n, v in enumerate([1, "1", 2, "2", 3, 0, "3", None, "", " 2", True, [2]])
        ),
        *(
            spliced(f"ver_s{n}", "schema_version", v)
            for n, v in enumerate(["2.0", "1e0", "-2", "NaN", "20000000000000000002"])
        ),
        without("ver_absent", "schema_version"),
        event("v1_carbon", schema_version=1, carbon_kg=5, genai_tokens=-1),
        event("v1_quoted_carbon", schema_version="1", carbon_kg="x", genai_tokens=3),
        event("v3_carbon", schema_version=3, carbon_kg=-5),
        event("carbon_negative", carbon_kg=-0.5),
        event("tokens_negative", genai_tokens="-5", service="genai"),
        event(
            "everything",
            org_id=None,
            schema_version=9,
            service="x",
            metric="y",
            cost_usd_increment="z",
            value="w",
            carbon_kg=-1,
        ),
        event("many", resource_id="\u2003", cost_usd_increment=-5, value=-1, unit="hours"),
    ]


def shapes() -> list[str]:
    """Keys, orphans, additional fields, repeated keys, blanks around."""
    deep = "[" * 150 + "]" * 150
    return [
        *(event(value) for value in [None, "", "  ", "\u00a0"]),
        *(
            event(f"org_{n}", org_id=value)
            for n, value in enumerate([None, "", " \t", " org_a ", "org_none", 42, True])
        ),
        event("org_long", org_id="o" * 60_000),
        event("org_too_long", org_id="\u00f6" * 30_001),
        *(event(f"res_{n}", resource_id=value) for n, value in enumerate([None, "", " res_2 ", "res_none"])),
        without("no_org", "org_id"),
        without("no_resource", "resource_id"),
        json.dumps(EVENT),
        "{}",
        event(777001),
        event("  padded  "),
        event("\u00fcml\u00e4ut \U0001f600", org_id="\u00d6rg"),
        event("user_known", user_id="user_1"),
        event("user_blank", user_id=" "),
        event("user_unknown", user_id="user_none"),
        event("extra", tags={"value": 12345678901234567890, "a": [1, {"b": None}]}, VALUE=-5, note='x\n"value": -1'),
        event("extra_deep").replace("}", f', "deep": {deep}}}'),
        event("extra_arrays").replace("}", ', "x": [{"a": 1}], "y": [{"b": 2}, {}], "z": [[{}], 1]}'),
        event("extra_big").replace("}", f', "big": {"9" * 400}, "tiny": 1e-999, "huge": 1e999}}'),
        event("extra_long").replace("}", f', "long": {"9" * 2000}.{"1" * 2000}}}'),
        event("extra_literals").replace("}", ', "x": NaN, "y": -Infinity}'),
        event("extra_surrogate").replace("}", ', "x": "\\ud800", "\\u0000": "\\u0000"}'),
        event("escaped_text", note='}],"ok":1,[{'),
        event("repeat_last").replace("}", ', "value": 7, "cost_usd_increment": 2.5, "event_id": "repeat_won"}'),
        event("repeat_null").replace("}", ', "value": null}'),
        event("repeat_bad").replace("}", ', "cost_usd_increment": "x"}'),
        event("repeat_good", value="x", timestamp="x").replace(
            "}", ', "value": 12345678901.123456789, "timestamp": "2025-06-10T13:00:00Z"}'
        ),
        "  \t" + event("blanks_around") + "  ",
        event("spaced").replace(":", "  :  ").replace("12  :  00  :  00", "12:00:00"),
    ]


def duplicates() -> dict[str, list[str]]:
    """Copies of one event_id: same and other text, same and other file, same and other date, good and bad."""
    other_day = {"timestamp": "2025-06-12T12:00:00Z"}
    one = event("dup_same")
    return {
        "b_first.jsonl": [
            one, one, f"  {one} ", event("dup_text", value=5), event("dup_text", value=3), event("dup_day"),
            event("dup_three", value=2), event("dup_bad", cost_usd_increment=-5), event("dup_pad"),
        ],
        "a_second.jsonl": [
            one, event("dup_text", value=9), event("dup_day", **other_day), event("dup_three", value=1, **other_day),
            event("dup_bad"), event(" dup_pad "), event("dup_spaced").replace(": ", ":"),
        ],
        "c_third.json": [
            one, event("dup_three", value=1, **other_day), event("dup_three", value=2), event("dup_day", **other_day),
            event("dup_bad", timestamp="x"), event("dup_spaced"), event("dup_text", value=9),
        ],
        " z_blank.jsonl": [event("dup_text", value=1), event("dup_spaced", value=1)],  # sorts last, not first
    }  # fmt: skip


MASTERS: dict[str, str] = {
    "customers_orgs.csv": "\ufefforg_id,org_name,industry,hq_region,plan_tier,is_enterprise,signup_date,sales_rep,"
    "lifecycle_stage,marketing_source,nps_score\r\n"
    'org_a,"Acme, Inc. ""The"" Best",Education,US-EAST,Standard,False,2025-05-26,rep_c,churned,partner,\r\n'
    'org_b,"Two\nLines, Ltd",  Retail ,mars,enterprise,no,2025-06-16,rep_d,Lead,event,-3.5\r\n'
    "org_c,,,,,,2025-06-16,,,,101\r\n"
    "org_d,D,x,us-east,pro,maybe,2025-02-30,r,lead,event,5\r\n"
    ",E,x,us-east,pro,True,2025-02-20,r,lead,event,5\r\n"
    "org_a,Acme Again,Education,eu-west,enterprise,True,2025-05-27,rep_c,active,partner,-100\r\n"
    "\r\n  \r\n"
    "org_f,F,x,us-east,enterprise,Y,2025-02-20,r,lead,event,1e2\r\n"
    "org_g,G,x,us-east,pro,True\r\n"
    "org_h,H,x,us-east,pro,True,2025-02-20,r,lead,event,5,6\r\n"
    "org_i,I,x,us-east,free,t,20250220,r,lead,event,NaN",
    "users.csv": "last_login,created_at,active,role,email,org_id,user_id,shoe_size\n"
    "2025-08-10,2025-07-15,True,Developer,a@b,org_a,user_1,44\n"
    "2025-07-10,2025-07-15,False,pilot,a@b,org_a,user_2,44\n"
    "soon,2025-07-15,,admin,,org_a,user_3,\n"
    ",2025-7-15,0,admin,,org_a,user_4,\n"
    ",2025-07-15,0,admin,, ,user_5,\n"
    ",,0,admin,,, ,\n"
    ",2025-07-15,perhaps,admin,,org_none,user_6,\n",
    "resources/part_b.csv": "resource_id,org_id,service,region,created_at,state,tags_json\n"
    'res_1,org_a,Compute,sa-east,2025-08-14,RUNNING,"[""env:prod"", ""a,b"", "" Team : Core "", ""team:core"", '
    '""url:http://x:80"", "":none"", """", null, 5, {""a"": 1}]"\n'
    "res_2,org_b,moon,mars,2025-08-14,asleep,\n"
    "res_5,org_b,genai,us-east,2025-08-14T00:00:00Z,running,\n"
    "res_6,org_b,genai,US-EAST-1,2025-08-14,running,{bad\n"
    'res_7,org_b,genai,eu-west-1,2025-08-14,running,"1,2"\n'
    'res_8,org_b,genai,eu-west-1,2025-08-14,running," {""a"": [1, 2], ""b"": null} "\n',
    "resources/part_a.csv": "tags_json,state,created_at,region,service,org_id,resource_id,owner\n"
    ",stopped,2025-01-01,us-west,storage,org_a,res_1,me\n"
    ",stopped,2025-01-01,us-west,storage,org_a,res_3,\n"
    ",,2025-01-01,,,org_a,res_4,me\n"
    '"{""TEAM"": ""ml"", ""pii"": true, ""Zone"": """", ""zone"": ""a"", ""env"": ""dev"", ""env"": ""prod""}",'
    "running,2025-01-01,us-west,storage,org_a,res_3,\n",
    "resources/_half.csv": "resource_id\n",
    "resources/.hidden.csv": "nothing\n",
    "resources/empty.csv": "",
    "billing_monthly.csv": "invoice_id,org_id,month,subtotal,credits,taxes,currency,exchange_rate_to_usd\n"
    "inv_01,org_a,2025-06-01,1133.34,,238.0,USD,0.97684\n"
    "inv_02,org_a,2025-06,619.1234565,10,,usd,1\n"
    "inv_03,org_a,2025-07-15,100.5,1.25,3,EUR,1.0912345678\n"
    "inv_04,org_a,2025-07-01,100.5,1.25,3,ARS,0.0012\n"
    "inv_05,org_b,2025-07-01,-5.5,,,EUR,1.1\n"
    "inv_06,org_b,2025-07-02,10,0,0,eur,1.2\n"
    "inv_07,org_b,2025-08-01,10,0,0,GBP,1.3\n"
    "inv_08,org_b,2025-13,10,0,0,EUR,1.3\n"
    "inv_09,org_b,2025-08,,0,0,EUR,1.3\n"
    "inv_10,org_b,2025-08,1,x,0,EUR,1.3\n"
    "inv_11,org_b,2025-08,1,0,NaN,EUR,1.3\n"
    "inv_12,org_b,2025-08,1,0,0,EUR,0\n"
    "inv_13,org_b,2025-08,1,0,0,EUR,-1\n"
    "inv_14,org_b,2025-08,1,0,0,EUR,\n"
    "inv_15,org_b,2025-08,1,0,0,,1\n"
    "inv_16,org_b,2025-08,1,0,0,USD,abc\n"
    "inv_17,,bad,bad,bad,bad,,bad\n"
    "inv_18,org_b,2025-08,1e12,0,0,EUR,1\n"
    "inv_19,org_b,2025-08,0.0000005,0,0,EUR,0.00000000004\n"
    "inv_20,org_b,2025-08,0.0000005,-3,0,EUR,0.5\n"
    "inv_21,org_c,2025-08,999999999999.999999,0,0,ARS,99999999.9999999999\n"
    "inv_07,org_b,2025-09-01,11,0,0,GBP,1.3\n"
    "inv_07,org_b,2025-09-01,oops,0,0,GBP,1.3\n"
    ',"org_b",2025-09-01,11,0,0,GBP,1.3\n',
    "support_tickets.csv": "ticket_id,org_id,category,severity,created_at,resolved_at,csat,sla_breached\n"
    "t01,org_a,Billing, HIGH ,2025-06-02,2025-06-02,4.0,False\n"
    "t02,org_a,odd,low,2025-06-02,2025-06-05,6,True\n"
    "t03,org_a,billing,low,2025-06-02,2025-06-09,0.5,yes\n"
    "t04,org_a,billing,low,2025-06-03,,5,no\n"
    "t05,org_a,billing,,2025-06-03,,,\n"
    "t06,org_a,billing,weird,2025-06-03,2025-06-04,1,perhaps\n"
    "t07,org_a,billing,low,2025-06-03,2025-06-02,1,no\n"
    "t08,org_a,billing,low,2025-06-03,later,1,no\n"
    "t09,org_a,billing,low,,2025-06-02,1,no\n"
    "t10,,billing,low,2025-06-03,2025-06-02,1,no\n"
    "t12,org_a,billing,low,0000-06-03,,1,no\n"
    "t13,org_a,bill\0ing,low,2025-06-03,,1,no\n"
    "t04,org_b,billing,critical,2025-06-04,2025-06-20,3,1\n"
    "t11,org_b,billing,critical,2025-06-05,2025-06-07,x,1\n"
    "t14,org_b,billing,low,9999-12-31,,5,no\n"
    "t15,org_a,billing,high,0001-01-01,,5,no\n"
    "t16,org_a,billing,low,1999-12-31,2025-06-03,5,no\n"
    "t17,org_a,billing,low,2025-06-03,9999-12-31,5,no\n"
    ",,,,,,,\n",
    "nps_surveys.csv": "comment,survey_date,org_id,nps_score,source\n"
    '"Great,\r\nreally ""great""",2025-08-22,org_a,11.0,web\n'
    ",2025-08-22,org_a,-101,web\n"
    ",2025-08-23,org_a,33.3333333,\n"
    ",2025-08-24,org_a,10,\n"
    ",2025-08-24, ,10,\n"
    ",,org_a,10,\n"
    ",2025-08-32,org_a,10,\n"
    ",2025-09-01,org_b,,\n",
    "nps_surveys/open.csv": "org_id,survey_date,nps_score,comment\n"
    "org_a,2025-09-02,5,closed\n"
    'org_a,2025-09-03,5,"good\n'
    "org_a,2025-09-04,7,swallowed\n",
    "marketing_touches.csv": "touch_id,org_id,campaign,channel,timestamp,clicked,converted\n"
    "m1,org_a,summer,ads,2025-08-26,True,False\n"
    "m2,org_a,summer,ADS,2025-08-27,True,True\n"
    "m3,org_a,summer,billboard,2025-08-27,huh,True\n"
    "m4,org_a,,,2025-08-27,,\n"
    "m5,org_a,summer,ads,2025-08-27T10:00,True,True\n"
    "m6,,summer,ads,2025-08-27,True,True\n"
    "m1,org_b,winter,email,2025-08-28,no,no\n"
    "m7,org_b,winter,email,2025-08-28,no,no",
}


def write(landing: Path) -> None:
    """Write the whole folder."""
    for name, text in MASTERS.items():
        path = landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    stream = landing / "usage_events_stream"
    stream.mkdir()

    def lines(texts: list[str], end: str = "\n") -> bytes:
        return "".join(text + end for text in texts).encode()

    usual = regular()
    mixed = b"\n".join(malformed()) + b"\n"
    packed = gzip.compress(b"\xef\xbb\xbf" + lines(usual[60:90]))
    files = {
        "part_000.jsonl": lines(usual[:60]),
        "part_001.jsonl.gz": packed,
        "part_002.json": b"\xef\xbb\xbf" + lines(usual[90:120], "\r\n"),
        "part_003.json.gz": gzip.compress(lines(usual[120:130])) + gzip.compress(lines(usual[130:140])),
        "part_004.jsonl": lines(usual[140:])[:-1],
        "part 005+%41 [x]{y}\u00e9.jsonl": b"\n \t\r\n\r\n\xe3\x80\x80\n" + lines([event("odd_name")]) + b"\n\n",
        "malformed.jsonl": mixed,
        "malformed_crlf.jsonl": lines(["{}x", event("crlf")], "\r\n"),
        "two_boms.jsonl": b"\xef\xbb\xbf\xef\xbb\xbf" + lines([event("two_boms_1"), event("two_boms_2")]),
        "bom_only.jsonl": b"\xef\xbb\xbf",
        "empty.jsonl": b"",
        "blank.jsonl": b"\n\r\n  \n",
        "empty_inside.jsonl.gz": gzip.compress(b""),
        "truncated.jsonl.gz": gzip.compress(lines([event(f"truncated_{n}", value=n * 7919) for n in range(99)]))[:-40],
        "not_gzip.jsonl.gz": lines([event("not_gzip")]),
        "corrupt.json.gz": packed[:-8] + b"\0\0\0\0" + packed[-4:],
        "timestamps.jsonl": lines(timestamps()),
        "numbers.jsonl": lines(numbers()),
        "words.jsonl": lines(words()),
        "shapes.jsonl": lines(shapes()),
        "_half.jsonl": lines([event("half")]),
        ".hidden.jsonl": lines([event("hidden")]),
        "notes.txt": b"not an event\n",
        "other.csv": b"not,an,event\n",
    }
    for name, texts in duplicates().items():
        files[name] = lines(texts)
    for name, content in files.items():
        (stream / name).write_bytes(content)
