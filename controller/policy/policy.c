// SPDX-License-Identifier: GPL-2.0-or-later
/* The verdict, and the texts of the table. */
#include "policy/match.h"

#include <stdio.h>

struct row {
	const char *name, *number, *text;
	enum policy_class class;
	enum policy_decision decision;
	bool (*matches)(const struct policy_facts *f);
};

static const struct row rows[] = {
#define ROW(name, number, class, decision, predicate, text)                                        \
	[POLICY_ROW_##name] = { #name, number, text, POLICY_##class, POLICY_DECIDES_##decision,    \
				policy_match_##predicate },
	POLICY_ROWS(ROW)
#undef ROW
};

static unsigned int refusal(const struct policy_facts *f)
{
	return f->course.leg[0].refused ? f->course.leg[0].refused : f->course.leg[1].refused;
}

void policy_decide(struct policy_verdict *out, const struct policy_facts *facts)
{
	uint64_t matched = 0;

	for (int i = 0; i < POLICY_ROW_COUNT; i++)
		matched |= (uint64_t)rows[i].matches(facts) << i;
	/* The last row always matches. */
	out->row = (enum policy_row)__builtin_ctzll(matched);
	out->matched = matched;
	out->decision = rows[out->row].decision;
	out->class = rows[out->row].class;
	out->code = refusal(facts);
}

const char *policy_row_reason(char text[POLICY_REASON_TEXT], const struct policy_verdict *v,
			      enum policy_row row)
{
	if (row == POLICY_ROW_PEER_REFUSED && v->code)
		snprintf(text, POLICY_REASON_TEXT, "%s_%u", rows[row].name, v->code);
	else
		snprintf(text, POLICY_REASON_TEXT, "%s", rows[row].name);
	return text;
}

const char *policy_reason(char text[POLICY_REASON_TEXT], const struct policy_verdict *v)
{
	return policy_row_reason(text, v, v->row);
}

const char *policy_row_number(enum policy_row row)
{
	return rows[row].number;
}

const char *policy_row_text(enum policy_row row)
{
	return rows[row].text;
}

enum policy_class policy_row_class(enum policy_row row)
{
	return rows[row].class;
}

enum policy_decision policy_row_decision(enum policy_row row)
{
	return rows[row].decision;
}

bool policy_by_update(const struct policy_leg *leg, const struct policy_leg_course *course)
{
	return leg->canreinvite & CANREINVITE_UPDATE && leg->takes_update &&
	       !course->update_refused;
}

bool policy_withholds(const struct policy_leg *leg, const struct policy_leg_course *course)
{
	return leg->canreinvite & CANREINVITE_OUTGOING && leg->incoming && !course->reinvited;
}
