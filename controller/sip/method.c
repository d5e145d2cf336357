// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/method.h"

#include "sip/sip.h"

#include <string.h>

static const char *const names[SIP_METHODS] = {
	[SIP_INVITE] = "INVITE",   [SIP_ACK] = "ACK",	      [SIP_CANCEL] = "CANCEL",
	[SIP_BYE] = "BYE",	   [SIP_OPTIONS] = "OPTIONS", [SIP_REGISTER] = "REGISTER",
	[SIP_INFO] = "INFO",	   [SIP_UPDATE] = "UPDATE",   [SIP_PRACK] = "PRACK",
	[SIP_REFER] = "REFER",	   [SIP_NOTIFY] = "NOTIFY",   [SIP_SUBSCRIBE] = "SUBSCRIBE",
	[SIP_MESSAGE] = "MESSAGE", [SIP_PUBLISH] = "PUBLISH", [SIP_OTHER] = "other",
};

enum sip_method sip_method_of(const char *name)
{
	for (int i = 0; i < SIP_OTHER; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum sip_method)i;
	return SIP_OTHER;
}

bool sip_method_has_contact(enum sip_method method)
{
	return method == SIP_INVITE || method == SIP_UPDATE || method == SIP_SUBSCRIBE ||
	       method == SIP_NOTIFY || method == SIP_REFER;
}

const char *sip_method_name(enum sip_method method)
{
	return names[method];
}

static const struct {
	short code;
	const char *text;
} reasons[] = {
	{100, "Trying"},
	{180, "Ringing"},
	{181, "Call Is Being Forwarded"},
	{182, "Queued"},
	{183, "Session Progress"},
	{199, "Early Dialog Terminated"},
	{200, "OK"},
	{202, "Accepted"},
	{204, "No Notification"},
	{300, "Multiple Choices"},
	{301, "Moved Permanently"},
	{302, "Moved Temporarily"},
	{305, "Use Proxy"},
	{380, "Alternative Service"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{402, "Payment Required"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{407, "Proxy Authentication Required"},
	{408, "Request Timeout"},
	{410, "Gone"},
	{412, "Conditional Request Failed"},
	{413, "Request Entity Too Large"},
	{414, "Request-URI Too Long"},
	{415, "Unsupported Media Type"},
	{416, "Unsupported URI Scheme"},
	{420, "Bad Extension"},
	{421, "Extension Required"},
	{422, "Session Interval Too Small"},
	{423, "Interval Too Brief"},
	{433, "Anonymity Disallowed"},
	{480, "Temporarily Unavailable"},
	{481, "Call/Transaction Does Not Exist"},
	{482, "Loop Detected"},
	{483, "Too Many Hops"},
	{484, "Address Incomplete"},
	{485, "Ambiguous"},
	{486, "Busy Here"},
	{487, "Request Terminated"},
	{488, "Not Acceptable Here"},
	{489, "Bad Event"},
	{491, "Request Pending"},
	{493, "Undecipherable"},
	{500, "Server Internal Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Server Time-out"},
	{505, "Version Not Supported"},
	{513, "Message Too Large"},
	{580, "Precondition Failure"},
	{600, "Busy Everywhere"},
	{603, "Decline"},
	{604, "Does Not Exist Anywhere"},
	{606, "Not Acceptable"},
	{607, "Unwanted"},
	{608, "Rejected"},
};

const char *sip_reason(int code)
{
	static const char *const by_class[] = {
		"Progress", "OK", "Redirection", "Refused", "Server Failure", "Declined"};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].text;
	return code >= 100 && code < 700 ? by_class[code / 100 - 1] : "Unknown";
}
