"""Calls the gateway with an independent client of the vendor's REST API, PyPI's tencentcloud-sdk-python-im, by every call of
groups and accounts that it has, and by a raw post of the counter calls, which it lacks. Prints a line for each call that went
as its caller would expect; anything else ends it with a trace.

    python3 vendor_client.py BASE-URL APP SECRET ADMIN     (the base URL ends in /v4)
"""

import json
import sys

import requests
from tencentcloud_im.tcim_client import GroupAppDefinedData, GroupMemObj, GroupObj, TCIMClient

base, app, secret, admin = sys.argv[1:]
client = TCIMClient(int(app), secret, admin, tencent_url=base)


def told(name, response, code=0):
    """The answer's fields, after what every answer must have was looked at."""
    assert response is not None, f"{name}: the client gave up"
    assert response.status_code == 200, f"{name}: {response.status_code} {response.text}"
    answer = response.json()
    assert "Content-Type" not in response.request.headers, "this client is known to send none"
    assert answer["ErrorCode"] == code, f"{name}: {answer}"
    assert answer["ActionStatus"] == ("FAIL" if code else "OK"), f"{name}: {answer}"
    print(f"passed {name}", flush=True)
    return answer


def same(name, found, wanted):
    assert found == wanted, f"{name}: {found} instead of {wanted}"


def counters(command, body, code=0):
    url = f"{client.tecent_url}/group_open_http_svc/{command}"
    return told(command, requests.post(url, params=client._gen_query(), data=json.dumps(body)), code)


told("account_import", client.add_single_user("boss", "The boss", "http://example.com/face.png"))
checked = told("account_check", client.search_user(["boss", "nobody"]))["ResultItem"]
same("account_check", [one["AccountStatus"] for one in checked], ["Imported", "NotImported"])

staff = [GroupMemObj("anna", role_type="Admin"), GroupMemObj("bert")]
group = GroupObj(
    "boss", "Public", "Fans", "who we are", "be kind", "http://example.com/g.png",
    mem_list=staff, applicationData=[GroupAppDefinedData("theme", "dark")], group_id="fans",
)
same("create_group", told("create_group", client.create_group(group))["GroupId"], "fans")
told("create_group", client.create_group(group), 10025)
made = told("create_group", client.create_group(GroupObj("boss", "AVChatRoom", "Live")))["GroupId"]
assert made.startswith("@TGS#"), made
told("create_group", client.create_group(GroupObj("boss", "Community", "No")), 10007)

listed = told("get_appid_group_list", client.get_group())
same("get_appid_group_list", (listed["TotalCount"], listed["Next"]), (2, 0))
same("get_appid_group_list", {one["GroupId"] for one in listed["GroupIdList"]}, {"fans", made})
first = told("get_appid_group_list", client.get_group(limit_nm=1))
second = told("get_appid_group_list", client.get_group(limit_nm=1, next_num=first["Next"]))
same("get_appid_group_list", (second["Next"], second["GroupIdList"] != first["GroupIdList"]), (0, True))
same("get_appid_group_list", told("get_appid_group_list", client.get_group(group_type="Public"))["TotalCount"], 1)

info = told("get_group_info", client.get_group_detail(["fans", "nowhere"]))["GroupInfo"]
same("get_group_info", [one["ErrorCode"] for one in info], [0, 10010])
shown = {name: info[0][name] for name in ("Name", "Owner_Account", "MemberNum", "MaxMemberNum", "AppDefinedData")}
wanted = {"Name": "Fans", "Owner_Account": "boss", "MemberNum": 3, "MaxMemberNum": 500}
same("get_group_info", shown, {**wanted, "AppDefinedData": [{"Key": "theme", "Value": "dark"}]})
some = client.get_group_detail(["fans"], baseInfoFilter=["Type"], memInfoFilter=["Role"])
some = told("get_group_info", some)["GroupInfo"][0]
same("get_group_info", (some["Type"], "Name" in some, len(some["MemberList"])), ("Public", False, 3))

added = told("add_group_member", client.add_group_member("fans", [GroupMemObj("carl"), GroupMemObj("anna")]))["MemberList"]
same("add_group_member", [(one["Member_Account"], one["Result"]) for one in added], [("carl", 1), ("anna", 2)])
told("add_group_member", client.add_group_member(made, [GroupMemObj("carl")]), 10007)
told("add_group_member", client.add_group_member("nowhere", [GroupMemObj("carl")]), 10010)

members = told("get_group_member_info", client.get_group_mem_info_detail("fans"))
same("get_group_member_info", (members["MemberNum"], len(members["MemberList"])), (4, 4))
page = client.get_group_mem_info_detail("fans", 1, 1, ["Role"], ["Admin", "Owner"])
same("get_group_member_info", told("get_group_member_info", page)["MemberList"], [{"Member_Account": "boss", "Role": "Owner"}])

roles = told("get_role_in_group", client.get_mem_role_in_group("fans", ["boss", "anna", "bert", "nobody"]))["UserIdList"]
same("get_role_in_group", [one["Role"] for one in roles], ["Owner", "Admin", "Member", "NotMember"])

joined = told("get_joined_group_list", client.get_joined_groups("bert"))
same("get_joined_group_list", (joined["TotalCount"], joined["GroupIdList"]), (1, [{"GroupId": "fans"}]))
joined = client.get_joined_groups("boss", 10, 0, "Public", ["Name"], ["Role"])
wanted = [{"GroupId": "fans", "Name": "Fans", "SelfInfo": {"Role": "Owner"}}]
same("get_joined_group_list", told("get_joined_group_list", joined)["GroupIdList"], wanted)

told("delete_group_member", client.delete_group_mem("fans", ["bert", "nobody"]))
told("delete_group_member", client.delete_group_mem(made, ["bert"]), 10004)
same("get_online_member_num", told("get_online_member_num", client.get_online_member_num(made))["OnlineMemberNum"], 0)
told("get_online_member_num", client.get_online_member_num("fans"), 10007)

pair = [{"Key": "like", "Value": 9223372036854775807}, {"Key": "gift", "Value": -5}]
same("update_group_counter", counters("update_group_counter", {"GroupId": "fans", "GroupCounter": pair})["GroupCounter"], pair)
less = {"GroupId": "fans", "Mode": "Decrease", "GroupCounter": [{"Key": "like", "Value": 9223372036854775807}]}
same("update_group_counter", counters("update_group_counter", less)["GroupCounter"], [{"Key": "like", "Value": 0}])
more = {**less, "Mode": "Increase", "GroupCounter": [{"Key": "new", "Value": 3}]}
same("update_group_counter", counters("update_group_counter", more)["GroupCounter"], [{"Key": "new", "Value": 3}])
read = counters("get_group_counter", {"GroupId": "fans"})["GroupCounter"]
same("get_group_counter", {one["Key"]: one["Value"] for one in read}, {"like": 0, "gift": -5, "new": 3})
counters("delete_group_counter", {"GroupId": "fans", "GroupCounterKeys": ["gift"]})
read = counters("get_group_counter", {"GroupId": "fans", "GroupCounterKeys": ["gift", "new"]})["GroupCounter"]
same("get_group_counter", read, [{"Key": "new", "Value": 3}])
counters("delete_group_counter", {"GroupId": "fans"})
same("get_group_counter", counters("get_group_counter", {"GroupId": "fans"})["GroupCounter"], [])
counters("get_group_counter", {"GroupId": "nowhere"}, 10010)

told("kick", client.abolition_user_sig("boss"))
told("destroy_group", client.delete_group("fans"))
told("destroy_group", client.delete_group("fans"), 10010)
# A call of the vendor's that this server does not have.
told("no such call", client.get_group_attr("fans"), 60009)
# With another secret the door stays shut.
client = TCIMClient(int(app), secret[::-1], admin, tencent_url=base)
told("another secret", client.get_group(), 70009)
