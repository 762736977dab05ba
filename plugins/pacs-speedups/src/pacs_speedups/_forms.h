/* Value representations: how long the length of each is (PS3.5 Table 7.1-1). */

#ifndef PACS_SPEEDUPS_FORMS_H
#define PACS_SPEEDUPS_FORMS_H

#include <stdint.h>

#define UNDEFINED 0xFFFFFFFFu
#define ITEM_GROUP 0xFFFEu
#define ITEM 0xE000u
#define ITEM_DELIMITATION 0xE00Du
#define SEQUENCE_DELIMITATION 0xE0DDu
#define FIRST_GROUP 3u /* below are command sets and File Meta Information */
#define MOST_OPEN 64   /* sequences and items; what nests deeper is left to Python */

#define CODE(a, b) ((uint16_t)((unsigned)(a) << 8 | (unsigned)(b)))

typedef enum { UNKNOWN, NARROW, WIDE, SEQUENCE } Form;

static inline Form form_of(uint16_t code)
{
    switch (code) {
    case CODE('A', 'E'): case CODE('A', 'S'): case CODE('A', 'T'): case CODE('C', 'S'):
    case CODE('D', 'A'): case CODE('D', 'S'): case CODE('D', 'T'): case CODE('F', 'D'):
    case CODE('F', 'L'): case CODE('I', 'S'): case CODE('L', 'O'): case CODE('L', 'T'):
    case CODE('P', 'N'): case CODE('S', 'H'): case CODE('S', 'L'): case CODE('S', 'S'):
    case CODE('S', 'T'): case CODE('T', 'M'): case CODE('U', 'I'): case CODE('U', 'L'):
    case CODE('U', 'S'):
        return NARROW;
    case CODE('O', 'B'): case CODE('O', 'D'): case CODE('O', 'F'): case CODE('O', 'L'):
    case CODE('O', 'V'): case CODE('O', 'W'): case CODE('S', 'V'): case CODE('U', 'C'):
    case CODE('U', 'N'): case CODE('U', 'R'): case CODE('U', 'T'): case CODE('U', 'V'):
        return WIDE;
    case CODE('S', 'Q'):
        return SEQUENCE;
    default:
        return UNKNOWN;
    }
}

#endif
