#ifndef CALENDAR_H
#define CALENDAR_H

/* Whether a year of the Gregorian calendar is a leap year. */
#define IS_LEAP(year) ((year) % 4 == 0)

/* How many days a year has. */
#define DAYS(year) (IS_LEAP(year) ? 366 : 365)

#endif
