// SPDX-License-Identifier: GPL-2.0-or-later
/* The E-model against figures worked out by hand from ITU-T G.107 and G.113. */
#include "stats/mos.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(double got, double want)
{
	if (fabs(got - want) > 0.005)
		fail_msg("%.4f, not %.4f", got, want);
}

static void known_figures(void **state)
{
	(void)state;
	expect(mos("PCMU", 1000, 0, 0, 0), 4.400);   /* R = 92.72 */
	expect(mos("pcma", 990, 10, 0, 0), 4.316);   /* 1 %: R = 89.08 */
	expect(mos("PCMA", 900, 100, 0, 0), 3.387);  /* 10 %: R = 65.65 */
	expect(mos("G729", 1000, 0, 0, 0), 4.087);   /* R = 81.72 */
	expect(mos("PCMU", 1000, 0, 100, 0), 4.140); /* 220 ms: R = 83.22 */
	expect(mos("PCMU", 1000, 0, 0, 100), 4.378); /* 70 ms: R = 91.52 */
	expect(mos("PCMU", 1000, 0, 0, 600), 3.589); /* 320 ms: R = 69.82 */
}

static void bounds(void **state)
{
	(void)state;
	assert_true(mos("PCMU", 0, 0, 0, 0) < 0);
	assert_true(mos("opus", 1000, 0, 0, 0) < 0);
	assert_true(mos("", 1000, 0, 0, 0) < 0);
	expect(mos("GSM", 1, 1000000, 0, 0), 1);
	expect(mos("PCMU", 1000, 0, 5000, 0), 1);
	for (uint64_t lost = 0; lost < 1000; lost++)
		assert_true(mos("PCMU", 1000, lost + 1, 5, 0) < mos("PCMU", 1000, lost, 5, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_figures),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
