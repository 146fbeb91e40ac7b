#include "calendar.h"

/* The compiler checks these, so nothing has to be executed. */
_Static_assert(IS_LEAP(2024), "2024 is a leap year");
_Static_assert(!IS_LEAP(2023), "2023 is no leap year");
_Static_assert(!IS_LEAP(1900), "a century is no leap year");
_Static_assert(IS_LEAP(2000), "but every fourth is");
_Static_assert(DAYS(1900) == 365, "1900 had 365 days");
