/* The walk over what is usual in the header of a dataset (PS3.5 section 7), for HeaderScanner.

   Theory of operation

   The scanner of pacs-core walks fast over what is usual and stops before whatever is not, having
   changed nothing for it; a general walk, which is Python, judges that one element and comes back.
   This is the fast walk. It takes more than the one in Python does: values with lengths of 32 bits,
   and sequences that lie whole in the buffer. It never raises for what it finds in a dataset, notes
   nothing and knows no error: all that is odd is somebody else's. So it can only be wrong by
   accepting too much, and each `return false` and `break` below errs on the safe side.

   Every read is preceded by a comparison of what is left, in 64 bits, so that no sum of a position
   and a length of 32 bits overflows. Sequences are walked with a stack of fixed size instead of
   recursion; what nests deeper is odd. The buffer is held (Py_buffer) while it is walked.

   A sequence is taken whole or not at all. Where it is not, the general walk goes over it once more,
   so a byte is looked at twice at most.

   Only the limited API of Python 3.11 is used: one build serves all later versions. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "_forms.h"

#define LATE 0x7FE00008u       /* Pixel Data in its three forms, and what follows: never usual */
#define UNBOUNDED INT64_MAX

enum { EXPLICIT = 1, LITTLE = 2, THOROUGH = 4, DONE = 8 };

/* Sets of tags: open addressing, never more than half full; no tag looked up is ever 0. */

typedef struct {
    uint32_t *tags;
    uint32_t mask;
    int shift;
} TagSet;

static bool make_set(TagSet *set, Py_ssize_t count)
{
    size_t size = 16;
    set->shift = 28;
    while (size < 2 * (size_t)count && set->shift) {
        size *= 2;
        set->shift--;
    }
    set->tags = PyMem_Calloc(size, sizeof *set->tags);
    set->mask = (uint32_t)(size - 1);
    return set->tags != NULL;
}

static uint32_t place_of(const TagSet *set, uint32_t tag)
{
    uint32_t place = (tag * 2654435769u) >> set->shift;
    while (set->tags[place] != 0 && set->tags[place] != tag) {
        place = (place + 1) & set->mask;
    }
    return place;
}

static bool contains(const TagSet *set, uint32_t tag)
{
    return set->tags[place_of(set, tag)] == tag;
}

typedef struct {
    PyObject *key;  /* the tag, as attributes have it */
    uint16_t code;  /* its VR in PS3.6; 0 where Python reads the value */
    bool looked_at; /* read by Python whatever its VR */
} Wanted;

typedef struct {
    PyObject_HEAD
    TagSet sequences;
    TagSet wanted;
    Wanted *found;  /* one for each place in `wanted` */
    uint32_t last;
} HeaderWalk;

/* One call of walk(). */
typedef struct {
    const HeaderWalk *self;
    const uint8_t *data;
    int64_t end;
    bool is_explicit, little, thorough;
} Walk;

typedef struct {
    uint32_t tag;
    uint16_t code; /* 0 if implicit */
    Form form;
    int64_t start;
    uint32_t length;
} Element;

static uint32_t read16(const Walk *walk, int64_t at)
{
    const uint8_t *p = walk->data + at;
    return walk->little ? (uint32_t)p[0] | (uint32_t)p[1] << 8 : (uint32_t)p[1] | (uint32_t)p[0] << 8;
}

static uint32_t read32(const Walk *walk, int64_t at)
{
    uint32_t first = read16(walk, at), second = read16(walk, at + 2);
    return walk->little ? first | second << 16 : first << 16 | second;
}

/* Read the header of an element that must be whole before `stop`; false if it is not usual. */
static bool read_element(const Walk *walk, int64_t at, int64_t stop, Element *element)
{
    if (stop - at < 8) {
        return false;
    }
    element->tag = read16(walk, at) << 16 | read16(walk, at + 2);
    element->start = at + 8;
    if (!walk->is_explicit) {
        element->code = 0;
        element->form = contains(&walk->self->sequences, element->tag) ? SEQUENCE : NARROW;
        element->length = read32(walk, at + 4);
        return element->tag >> 16 != ITEM_GROUP;
    }
    element->code = CODE(walk->data[at + 4], walk->data[at + 5]);
    element->form = form_of(element->code);
    switch (element->form) {
    case NARROW:
        element->length = read16(walk, at + 6);
        break;
    case WIDE:
    case SEQUENCE:
        if (stop - at < 12) {
            return false;
        }
        element->start = at + 12;
        element->length = read32(walk, at + 8);
        break;
    default:
        return false;
    }
    /* A sequence of PS3.6 that is sent as something else is an oddity to be noted. */
    return element->form == SEQUENCE || !contains(&walk->self->sequences, element->tag);
}

typedef struct {
    int64_t bound;  /* the nearest end that is known of it or of what it is in */
    bool delimited; /* a delimitation item ends it */
} Open;

/* Open what begins at `at`; false if it reaches out of what it is in, or is cut. */
static bool open_at(const Walk *walk, Open *open, int64_t at, uint32_t length, int64_t bound)
{
    open->delimited = length == UNDEFINED;
    open->bound = open->delimited ? bound : at + length;
    return open->delimited || (open->bound <= bound && open->bound <= walk->end);
}

/* Return where the sequence ends whose value begins at `at`; -1 if it is cut, or not usual. */
static int64_t pass_sequence(const Walk *walk, int64_t at, uint32_t length)
{
    Open open[MOST_OPEN];
    int depth = 1; /* odd: the innermost is a sequence; even: an item */
    if (!open_at(walk, &open[0], at, length, UNBOUNDED)) {
        return -1;
    }
    while (depth) {
        Open inner = open[depth - 1];
        if (at == inner.bound && !inner.delimited) {
            depth--;
            continue;
        }
        int64_t stop = inner.bound < walk->end ? inner.bound : walk->end;
        if (stop - at < 8) {
            return -1;
        }
        bool in_sequence = depth & 1;
        int64_t start;
        uint32_t claimed;
        if (read16(walk, at) == ITEM_GROUP) {
            uint32_t kind = read16(walk, at + 2);
            claimed = read32(walk, at + 4);
            start = at + 8;
            if (kind == (in_sequence ? SEQUENCE_DELIMITATION : ITEM_DELIMITATION)) {
                if (claimed || !inner.delimited) {
                    return -1;
                }
                depth--;
                at = start;
                continue;
            }
            if (!in_sequence || kind != ITEM) {
                return -1;
            }
        }
        else {
            Element element;
            if (in_sequence || !read_element(walk, at, stop, &element)
                || element.tag >> 16 < FIRST_GROUP || element.tag >> 16 > ITEM_GROUP) {
                return -1;
            }
            claimed = element.length;
            start = element.start;
            if (element.form != SEQUENCE || !claimed) {
                if (claimed == UNDEFINED || (int64_t)claimed > stop - start) {
                    return -1;
                }
                at = start + claimed;
                continue;
            }
        }
        if (depth == MOST_OPEN || !open_at(walk, &open[depth], start, claimed, inner.bound)) {
            return -1;
        }
        depth++;
        at = start;
    }
    return at;
}

/* Values */

static bool is_leading(uint16_t code)
{
    /* Leading spaces do not count (PS3.5 section 6.2). */
    switch (code) {
    case CODE('A', 'E'): case CODE('C', 'S'): case CODE('D', 'S'): case CODE('I', 'S'):
    case CODE('L', 'O'): case CODE('S', 'H'):
        return true;
    default:
        return false;
    }
}

static bool is_padding(uint8_t byte)
{
    return byte == ' ' || byte == 0;
}

static PyObject *text_between(const uint8_t *from, const uint8_t *to)
{
    return PyUnicode_FromStringAndSize((const char *)from, to - from);
}

static PyObject *only(PyObject *value)
{
    if (value == NULL) {
        return NULL;
    }
    PyObject *values = PyTuple_New(1);
    if (values == NULL) {
        Py_DECREF(value);
        return NULL;
    }
    PyTuple_SetItem(values, 0, value);
    return values;
}

static PyObject *split_text(const uint8_t *from, const uint8_t *to, Py_ssize_t count, bool leading)
{
    PyObject *values = PyTuple_New(count);
    for (Py_ssize_t i = 0; values != NULL && i < count; i++) {
        const uint8_t *next = memchr(from, '\\', (size_t)(to - from));
        const uint8_t *first = from, *last = next == NULL ? to : next;
        while (last > first && is_padding(last[-1])) {
            last--;
        }
        while (leading && first < last && is_padding(*first)) {
            first++;
        }
        PyObject *value = text_between(first, last);
        if (value == NULL) {
            Py_CLEAR(values);
            break;
        }
        PyTuple_SetItem(values, i, value);
        from = next == NULL ? to : next + 1;
    }
    return values;
}

/* Return the values of what is easy, a new reference; NULL without an exception of what is not. */
static PyObject *decode(const Walk *walk, uint16_t code, const uint8_t *raw, uint32_t length)
{
    int64_t at = raw - walk->data;
    switch (code) {
    case CODE('A', 'T'): case CODE('F', 'D'): case CODE('F', 'L'):
        return NULL;
    case CODE('U', 'S'):
        return length == 2 ? only(PyUnicode_FromFormat("%u", read16(walk, at))) : NULL;
    case CODE('S', 'S'):
        return length == 2 ? only(PyUnicode_FromFormat("%d", (int16_t)read16(walk, at))) : NULL;
    case CODE('U', 'L'):
        return length == 4 ? only(PyUnicode_FromFormat("%u", read32(walk, at))) : NULL;
    case CODE('S', 'L'):
        return length == 4 ? only(PyUnicode_FromFormat("%d", (int32_t)read32(walk, at))) : NULL;
    default:
        break;
    }
    const uint8_t *from = raw, *to = raw + length;
    while (to > from && is_padding(to[-1])) {
        to--;
    }
    bool leading = is_leading(code);
    while (leading && from < to && *from == ' ') {
        from++;
    }
    Py_ssize_t count = 1;
    for (const uint8_t *p = from; p < to; p++) {
        /* The character set is Python's business, and so are escape sequences. */
        if (*p >= 0x80 || *p == 0x1B) {
            return NULL;
        }
        count += *p == '\\';
    }
    if (from == to) {
        return PyTuple_New(0);
    }
    if (count == 1 || code == CODE('L', 'T') || code == CODE('S', 'T')) {
        return only(text_between(from, to));
    }
    return split_text(from, to, count, leading);
}

/* Let the scanner take a value; false with an exception if that fails. */
static bool hand_over(PyObject *take, PyObject *key, uint16_t code, int64_t start, int64_t length)
{
    char letters[2] = {(char)(code >> 8), (char)(code & 0xFF)};
    PyObject *result = PyObject_CallFunction(
        take, "Os#LL", key, letters, (Py_ssize_t)(code ? 2 : 0), (long long)start, (long long)length);
    Py_XDECREF(result);
    return result != NULL;
}

static bool keep(const Walk *walk, const Wanted *wanted, const Element *element, PyObject *attributes,
                 PyObject *take)
{
    uint16_t code = walk->is_explicit ? element->code : wanted->code;
    if (!wanted->looked_at && form_of(code) == NARROW) {
        PyObject *values = decode(walk, code, walk->data + element->start, element->length);
        if (values != NULL) {
            int failed = PyObject_SetItem(attributes, wanted->key, values);
            Py_DECREF(values);
            return !failed;
        }
        if (PyErr_Occurred()) {
            return false;
        }
    }
    return hand_over(take, wanted->key, element->code, element->start, element->length);
}

PyDoc_STRVAR(walk_doc,
"walk(buffer, position, base, last_tag, flags, limit, max_value, attributes, take, /)\n--\n\n"
"Walk as far as elements are usual; return where, after which tag, and whether all is found.\n\n"
"`flags` are 1 for explicit VR, 2 for little endian, 4 to look into sequences of defined length, 8\n"
"if nothing is wanted any more. `base` is the buffer's offset in the dataset, `limit` the offset\n"
"beyond which no attribute is looked for. Values go to `attributes`, or are given to\n"
"`take(tag, vr, start, length)`. The position returned may lie beyond the buffer: then a value does.");

static PyObject *walk_header(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    HeaderWalk *self = (HeaderWalk *)object;
    if (count != 9) {
        PyErr_SetString(PyExc_TypeError, "walk() takes 9 arguments");
        return NULL;
    }
    int64_t position = PyLong_AsLongLong(args[1]);
    int64_t base = PyLong_AsLongLong(args[2]);
    int64_t last_tag = PyLong_AsLongLong(args[3]);
    long flags = PyLong_AsLong(args[4]);
    int64_t limit = PyLong_AsLongLong(args[5]);
    int64_t max_value = PyLong_AsLongLong(args[6]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (position < 0 || base < 0) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "position and base are not negative");
        return NULL;
    }
    PyObject *attributes = args[7], *take = args[8];
    bool done = flags & DONE, failed = false;
    Walk walk = {self, view.buf, view.len, flags & EXPLICIT, flags & LITTLE, flags & THOROUGH};
    while (position < walk.end) {
        Element element;
        if (!read_element(&walk, position, walk.end, &element) || element.tag <= last_tag
            || element.tag >= LATE) {
            break;
        }
        bool finished = done || element.tag > self->last;
        if (!finished && element.start > limit - base) {
            break;
        }
        uint32_t place = place_of(&self->wanted, element.tag);
        bool wanted = !finished && self->wanted.tags[place] == element.tag;
        int64_t length = element.length, after = element.start + length;
        if (element.form == SEQUENCE && length && (element.length == UNDEFINED || walk.thorough)) {
            if (element.length != UNDEFINED && (length < 8 || after > walk.end)) {
                break;
            }
            after = pass_sequence(&walk, element.start, element.length);
            if (after < 0) {
                break;
            }
            length = after - element.start;
        }
        else if (element.length == UNDEFINED) {
            break;
        }
        else if (element.form != NARROW && !finished && !wanted && after > limit - base) {
            /* It may lead past the limit, which is for the scanner to say. */
            break;
        }
        if (wanted) {
            const Wanted *found = &self->found[place];
            if (after > walk.end) {
                break;
            }
            if (length > max_value || element.form != NARROW) {
                failed = !hand_over(take, found->key, element.code, element.start, length);
            }
            else {
                failed = !keep(&walk, found, &element, attributes, take);
            }
            if (failed) {
                break;
            }
        }
        done = finished;
        last_tag = element.tag;
        position = after;
    }
    PyBuffer_Release(&view);
    return failed ? NULL : Py_BuildValue("LLO", (long long)position, (long long)last_tag,
                                         done ? Py_True : Py_False);
}

/* The type */

static bool read_tag(PyObject *key, uint32_t *tag)
{
    unsigned long value = PyLong_AsUnsignedLong(key);
    if (PyErr_Occurred()) {
        return false;
    }
    if (value == 0 || value > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%lu is no tag", value);
        return false;
    }
    *tag = (uint32_t)value;
    return true;
}

static bool fill_sequences(HeaderWalk *self, PyObject *sequences)
{
    PyObject *list = PySequence_List(sequences);
    if (list == NULL) {
        return false;
    }
    Py_ssize_t count = PyList_Size(list);
    bool made = make_set(&self->sequences, count);
    if (!made) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; made && i < count; i++) {
        uint32_t tag;
        made = read_tag(PyList_GetItem(list, i), &tag);
        if (made) {
            self->sequences.tags[place_of(&self->sequences, tag)] = tag;
        }
    }
    Py_DECREF(list);
    return made;
}

static bool fill_wanted(HeaderWalk *self, PyObject *wanted)
{
    bool made = make_set(&self->wanted, PyDict_Size(wanted));
    if (made) {
        self->found = PyMem_Calloc((size_t)self->wanted.mask + 1, sizeof *self->found);
    }
    if (!made || self->found == NULL) {
        PyErr_NoMemory();
        return false;
    }
    Py_ssize_t at = 0;
    PyObject *key, *kind;
    while (PyDict_Next(wanted, &at, &key, &kind)) {
        uint32_t tag;
        if (!read_tag(key, &tag)) {
            return false;
        }
        Py_ssize_t size;
        const char *letters = PyUnicode_AsUTF8AndSize(kind, &size);
        if (letters == NULL) {
            return false;
        }
        uint32_t place = place_of(&self->wanted, tag);
        uint16_t code = size == 2 ? CODE((uint8_t)letters[0], (uint8_t)letters[1]) : 0;
        self->wanted.tags[place] = tag;
        self->found[place].looked_at = code == CODE('S', 'Q') || code == 0;
        self->found[place].code = form_of(code) == NARROW ? code : 0;
        Py_INCREF(key);
        self->found[place].key = key; /* the first: keys of a dict differ */
    }
    return true;
}

static PyObject *new_walk(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *wanted, *sequences;
    unsigned long long last;
    if (kwargs != NULL && PyDict_Size(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "HeaderWalk takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O!OK", &PyDict_Type, &wanted, &sequences, &last)) {
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    HeaderWalk *self = (HeaderWalk *)allocate(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->last = last < LATE ? (uint32_t)last : LATE - 1;
    if (!fill_sequences(self, sequences) || !fill_wanted(self, wanted)) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void free_walk(PyObject *object)
{
    HeaderWalk *self = (HeaderWalk *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (uint32_t i = 0; self->found != NULL && i <= self->wanted.mask; i++) {
        Py_XDECREF(self->found[i].key); /* integers: they refer to nothing, so no cycle is possible */
    }
    PyMem_Free(self->found);
    PyMem_Free(self->wanted.tags);
    PyMem_Free(self->sequences.tags);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef walk_methods[] = {
    {"walk", (PyCFunction)(void (*)(void))walk_header, METH_FASTCALL, walk_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(type_doc,
"HeaderWalk(wanted, sequences, last, /)\n--\n\n"
"Walker over headers for one set of wanted tags: a dict of tag to VR in PS3.6, which is SQ for what\n"
"is always given to `take`; the tags of sequences; and the last tag that is wanted.");

static PyType_Slot walk_slots[] = {
    {Py_tp_doc, (void *)type_doc},
    {Py_tp_new, (void *)new_walk},
    {Py_tp_dealloc, (void *)free_walk},
    {Py_tp_methods, walk_methods},
    {0, NULL},
};

static PyType_Spec walk_spec = {
    "pacs_speedups._header_walk.HeaderWalk", sizeof(HeaderWalk), 0, Py_TPFLAGS_DEFAULT, walk_slots,
};

static int fill_module(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &walk_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int failed = PyModule_AddObjectRef(module, "HeaderWalk", type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)fill_module},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_header_walk", NULL, 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__header_walk(void)
{
    return PyModuleDef_Init(&module);
}
