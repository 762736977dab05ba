/* The elements of a dataset that are plain (PS3.5 section 7), for ElementReader.

   Theory of operation

   The reader of pacs-core takes plain elements in a tight loop, and whatever is not plain by a general
   way, which judges one element and comes back. This is the tight loop. It takes more than the one in
   Python does: values with lengths of 32 bits, sequences that lie whole in the buffer, and elements
   without VR whose VR the reader has met. It raises nothing for what it finds in a dataset: all that is odd is
   left to the reader, and so is what decides how something else is read (character sets, Pixel
   Representation), what is not to be read (Pixel Data, what is too long), and what only it may
   refuse (too many elements, too deep). So it can only be wrong by accepting too much, and each
   `return ODD` errs on the safe side.

   A sequence is taken whole or not at all. Where one is not, the place of the obstacle is returned, and
   sequences that begin before it are not tried again: the reader goes into them, and a byte is
   looked at twice at most, however deep they nest.

   Every read is preceded by a comparison of what is left, in 64 bits, so that no sum of a position
   and a length of 32 bits overflows. Sequences are walked with a stack of fixed size instead of
   recursion. The buffer is held (Py_buffer) while it is walked.

   Elements and sets are the reader's own classes. Their slots are set as object.__setattr__ does: to call
   their __init__, which is Python, would take longer than all else.

   Only the limited API of Python 3.11 is used: one build serves all later versions. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "_forms.h"

#define LETTERS 26
#define FIRST_ODD_GROUP 0xFFFEu /* items, and what is in no dataset */

typedef enum { FAILED = -1, ODD, TAKEN } Outcome;

typedef struct {
    PyObject_HEAD
    PyTypeObject *element_type, *set_type;
    allocfunc new_element, new_set;
    PyObject *tag, *vr, *value, *elements, *character_sets; /* names of slots */
    PyObject *vrs[LETTERS * LETTERS];                       /* text, of those of the standard */
} PlainElements;

/* One call of take(). */
typedef struct {
    PlainElements *self;
    const uint8_t *data;
    PyObject *known; /* VRs by tag of what is sent without; NULL if it has them */
    PyObject *character_sets;
    int64_t max_value, max_bulk;
    int64_t bytes, count; /* that may still be taken */
    int64_t sequence_end; /* where a sequence has ended by its length; see ElementReader */
    int64_t depth;        /* how many sequences and items may be open */
} Take;

typedef struct {
    uint32_t tag;
    Form form;
    bool bulk, skipped;
    PyObject *vr; /* borrowed */
    int64_t start;
    uint32_t length;
} Element;

/* What is open: a sequence has a list, an item a dict. */
typedef struct {
    PyObject *content;
    int64_t bound;  /* the nearest end that is known of it or of what it is in */
    bool delimited; /* a delimitation item ends it */
    uint32_t tag;
} Open;

static uint32_t read16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t read32(const uint8_t *at)
{
    return read16(at) | read16(at + 2) << 16;
}

static bool is_decisive(uint32_t tag)
{
    switch (tag) {
    case 0x00080005u:                                     /* Specific Character Set */
    case 0x00280103u:                                     /* Pixel Representation */
    case 0x54001004u:                                     /* Waveform Bits Allocated */
    case 0x7FE00008u: case 0x7FE00009u: case 0x7FE00010u: /* Pixel Data */
        return true;
    default:
        return false;
    }
}

static bool is_private(uint32_t tag)
{
    return tag >> 16 & 1;
}

/* Tell whether a private element names a creator, and so is LO without a VR (PS3.5 section 7.8.1). */
static bool is_creator(uint32_t tag)
{
    uint32_t number = tag & 0xFFFF;
    return is_private(tag) && number >= 0x10 && number <= 0xFF;
}

static PyObject *vr_for(const PlainElements *self, uint8_t first, uint8_t second)
{
    uint8_t row = (uint8_t)(first - 'A'), column = (uint8_t)(second - 'A');
    return row < LETTERS && column < LETTERS ? self->vrs[row * LETTERS + column] : NULL;
}

static bool has_vr(const Take *take, Element *element, uint8_t first, uint8_t second)
{
    uint16_t code = CODE(first, second);
    element->form = form_of(code);
    element->vr = vr_for(take->self, first, second);
    element->bulk = first == 'O' || code == CODE('U', 'N');
    return element->vr != NULL;
}

/* Find the VR of what is sent without; ODD where the reader has to say it. */
static Outcome find_vr(const Take *take, Element *element)
{
    uint32_t tag = element->tag;
    if (is_private(tag)) {
        bool creator = is_creator(tag);
        return has_vr(take, element, creator ? 'L' : 'U', creator ? 'O' : 'N') ? TAKEN : ODD;
    }
    PyObject *key = PyLong_FromUnsignedLong(tag);
    if (key == NULL) {
        return FAILED;
    }
    PyObject *vr = PyDict_GetItemWithError(take->known, key);
    Py_DECREF(key);
    if (vr == NULL) {
        return PyErr_Occurred() ? FAILED : ODD;
    }
    Py_ssize_t size;
    const char *letters = PyUnicode_AsUTF8AndSize(vr, &size);
    if (letters == NULL) {
        return FAILED;
    }
    return size == 2 && has_vr(take, element, (uint8_t)letters[0], (uint8_t)letters[1]) ? TAKEN : ODD;
}

/* Read the header of an element that must be whole, with its value, before `stop`. */
static Outcome read_element(const Take *take, int64_t at, int64_t stop, Element *element)
{
    if (stop - at < 8) {
        return ODD;
    }
    const uint8_t *header = take->data + at;
    uint32_t group = read16(header), number = read16(header + 2);
    element->tag = group << 16 | number;
    element->start = at + 8;
    element->skipped = number == 0; /* group lengths are left out */
    element->bulk = false;
    if (group < FIRST_GROUP || group >= FIRST_ODD_GROUP || is_decisive(element->tag)
        || take->count <= 0) {
        return ODD;
    }
    if (take->known != NULL) {
        element->length = read32(header + 4);
        if (element->skipped) {
            element->form = NARROW;
        }
        else {
            Outcome found = find_vr(take, element);
            if (found != TAKEN) {
                return found;
            }
        }
    }
    else {
        if (!has_vr(take, element, header[4], header[5])) {
            return ODD;
        }
        if (element->form == NARROW) {
            element->length = read16(header + 6);
        }
        else {
            if (stop - at < 12) {
                return ODD;
            }
            element->start = at + 12;
            element->length = read32(header + 8);
        }
        /* One of the standard that is sent as UN has another VR, and may be a sequence. */
        if (header[4] == 'U' && header[5] == 'N'
            && (!is_private(element->tag) || is_creator(element->tag))) {
            return ODD;
        }
    }
    if (element->form == SEQUENCE) {
        return element->skipped ? ODD : TAKEN;
    }
    int64_t length = element->length, most = element->bulk ? take->max_bulk : take->max_value;
    if (element->length == UNDEFINED || length > stop - element->start) {
        return ODD;
    }
    return element->skipped || (length <= most && length <= take->bytes) ? TAKEN : ODD;
}

static bool set_slot(PyObject *object, PyObject *name, PyObject *value)
{
    return value != NULL && PyObject_GenericSetAttr(object, name, value) == 0;
}

/* Put an element into a dict; the reference to its value is taken. */
static bool put(const Take *take, PyObject *into, uint32_t tag, PyObject *vr, PyObject *value)
{
    PlainElements *self = take->self;
    PyObject *key = PyLong_FromUnsignedLong(tag);
    PyObject *element = self->new_element(self->element_type, 0);
    bool done = key != NULL && element != NULL && set_slot(element, self->tag, key)
                && set_slot(element, self->vr, vr) && set_slot(element, self->value, value)
                && PyDict_SetItem(into, key, element) == 0;
    Py_XDECREF(value);
    Py_XDECREF(element);
    Py_XDECREF(key);
    return done;
}

static bool keep(Take *take, PyObject *into, const Element *element)
{
    take->count--;
    if (element->skipped) {
        return true;
    }
    take->bytes -= element->length;
    PyObject *value = PyBytes_FromStringAndSize((const char *)take->data + element->start, element->length);
    return put(take, into, element->tag, element->vr, value);
}

/* Give what has ended to what it is in: `above`, or `into` if there is nothing. */
static bool close_open(Take *take, Open *closed, Open *above, PyObject *into)
{
    PlainElements *self = take->self;
    PyObject *content = closed->content;
    closed->content = NULL;
    if (closed->tag) {
        PyObject *items = PyList_AsTuple(content);
        Py_DECREF(content);
        return put(take, above == NULL ? into : above->content, closed->tag, vr_for(self, 'S', 'Q'), items);
    }
    PyObject *set = self->new_set(self->set_type, 0);
    bool done = set != NULL && set_slot(set, self->elements, content)
                && set_slot(set, self->character_sets, take->character_sets)
                && PyList_Append(above->content, set) == 0;
    Py_XDECREF(set);
    Py_DECREF(content);
    return done;
}

/* Open what begins at `at`, a sequence if it has a tag. */
static Outcome open_at(const Take *take, Open *open, int depth, int64_t at, uint32_t length,
                       int64_t bound, uint32_t tag)
{
    if (depth >= MOST_OPEN || depth >= take->depth) {
        return ODD;
    }
    open[depth].delimited = length == UNDEFINED;
    open[depth].bound = open[depth].delimited ? bound : at + length;
    open[depth].tag = tag;
    if (open[depth].bound > bound) {
        return ODD;
    }
    open[depth].content = tag ? PyList_New(0) : PyDict_New();
    return open[depth].content == NULL ? FAILED : TAKEN;
}

typedef enum { OPEN_ITEM, PASS, CLOSE, LEAVE, REFUSE } Step;

/* Tell what an item, or a delimitation item, means where it stands. */
static Step judge(const Take *take, const Open *inner, int64_t at, uint32_t number, uint32_t length)
{
    if (inner->tag) {
        if (number == ITEM) {
            return OPEN_ITEM;
        }
        if (number == ITEM_DELIMITATION) {
            return PASS; /* some writers add them to items with a length */
        }
        return number == SEQUENCE_DELIMITATION && inner->delimited ? CLOSE : REFUSE;
    }
    if (!inner->delimited || (number != ITEM && length)) {
        return REFUSE;
    }
    if (at == take->sequence_end) {
        return number == ITEM ? REFUSE : PASS; /* one too many, where a length has said all */
    }
    if (number == ITEM_DELIMITATION) {
        return CLOSE;
    }
    /* The item's delimiter is missing. */
    return number == ITEM || number == SEQUENCE_DELIMITATION ? LEAVE : REFUSE;
}

/* Take a sequence whole into a dict; `*at` becomes its end, or where the obstacle is. */
static Outcome walk_sequence(Take *take, Open *open, int *depth, int64_t *at, PyObject *into)
{
    while (*depth) {
        Open *inner = &open[*depth - 1], *above = *depth > 1 ? inner - 1 : NULL;
        bool ends = *at == inner->bound && !inner->delimited;
        if (ends && inner->tag) {
            take->sequence_end = *at;
        }
        if (!ends) {
            if (inner->bound - *at < 8) {
                return ODD;
            }
            const uint8_t *header = take->data + *at;
            uint32_t number = read16(header + 2), length = read32(header + 4);
            if (read16(header) == ITEM_GROUP) {
                Step step = judge(take, inner, *at, number, length);
                if (step == REFUSE) {
                    return ODD;
                }
                *at += step == LEAVE ? 0 : 8;
                if (step == PASS) {
                    continue;
                }
                if (step == OPEN_ITEM) {
                    Outcome opened = open_at(take, open, *depth, *at, length, inner->bound, 0);
                    if (opened != TAKEN) {
                        return opened;
                    }
                    ++*depth;
                    continue;
                }
                ends = true;
            }
        }
        if (ends) {
            --*depth;
            if (!close_open(take, inner, above, into)) {
                return FAILED;
            }
            continue;
        }
        Element element;
        Outcome found = inner->tag ? ODD : read_element(take, *at, inner->bound, &element);
        if (found != TAKEN) {
            return found;
        }
        if (element.form == SEQUENCE) {
            found = open_at(take, open, *depth, element.start, element.length, inner->bound, element.tag);
            if (found != TAKEN) {
                return found;
            }
            take->count--;
            ++*depth;
            *at = element.start;
            continue;
        }
        if (!keep(take, inner->content, &element)) {
            return FAILED;
        }
        *at = element.start + element.length;
    }
    return TAKEN;
}

static Outcome take_sequence(Take *take, const Element *element, int64_t *at, int64_t stop, PyObject *into)
{
    Open open[MOST_OPEN];
    Take before = *take;
    int depth = 0;
    Outcome done = open_at(take, open, depth, element->start, element->length, stop, element->tag);
    if (done == TAKEN) {
        depth = 1;
        take->count--;
        *at = element->start;
        done = walk_sequence(take, open, &depth, at, into);
    }
    while (depth) {
        Py_XDECREF(open[--depth].content);
    }
    if (done != TAKEN) {
        *take = before;
    }
    return done;
}

PyDoc_STRVAR(take_doc,
"take(buffer, position, end, elements, character_sets, known, limits, sequence_end, obstacle, /)\n--\n\n"
"Take elements into a dict as long as they are plain and whole before `end`.\n\n"
"`known` has the VRs of tags where elements are sent without; None where they have them. `limits` are\n"
"bytes of a value, of a bulk value, of all values, number of elements, and of what may be open.\n"
"Sequences that begin before `obstacle` are not taken. Return the position, bytes of values taken,\n"
"number of elements, where a sequence ended last by its length, and the obstacle.");

static PyObject *take_elements(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    PlainElements *self = (PlainElements *)object;
    if (count != 9) {
        PyErr_SetString(PyExc_TypeError, "take() takes 9 arguments");
        return NULL;
    }
    int64_t position = PyLong_AsLongLong(args[1]), end = PyLong_AsLongLong(args[2]);
    int64_t sequence_end = PyLong_AsLongLong(args[7]), obstacle = PyLong_AsLongLong(args[8]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    PyObject *into = args[3];
    if (!PyDict_Check(into) || (args[5] != Py_None && !PyDict_Check(args[5])) || !PyTuple_Check(args[6])) {
        PyErr_SetString(PyExc_TypeError, "elements and known VRs are dicts, limits a tuple");
        return NULL;
    }
    long long max_value, max_bulk, bytes, number, depth;
    if (!PyArg_ParseTuple(args[6], "LLLLL", &max_value, &max_bulk, &bytes, &number, &depth)) {
        return NULL;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (position < 0 || end > view.len) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "position and end are not in the buffer");
        return NULL;
    }
    Take take = {
        .self = self, .data = view.buf, .known = args[5] == Py_None ? NULL : args[5],
        .character_sets = args[4], .max_value = max_value, .max_bulk = max_bulk, .bytes = bytes,
        .count = number, .sequence_end = sequence_end, .depth = depth,
    };
    Outcome done = TAKEN;
    while (done == TAKEN) {
        Element element;
        done = read_element(&take, position, end, &element);
        if (done != TAKEN) {
            break;
        }
        if (element.form != SEQUENCE) {
            done = keep(&take, into, &element) ? TAKEN : FAILED;
            position = element.start + element.length;
            continue;
        }
        if (position < obstacle) {
            break;
        }
        int64_t at = position;
        done = take_sequence(&take, &element, &at, end, into);
        if (done == TAKEN) {
            position = at;
        }
        else {
            obstacle = at;
        }
    }
    PyBuffer_Release(&view);
    if (done == FAILED) {
        return NULL;
    }
    return Py_BuildValue("LLLLL", (long long)position, bytes - (long long)take.bytes,
                         number - (long long)take.count, (long long)take.sequence_end, (long long)obstacle);
}

/* The type */

static const char *const VRS[] = {
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV",
    "OW", "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV",
};

static bool name_slots(PlainElements *self)
{
    self->tag = PyUnicode_InternFromString("tag");
    self->vr = PyUnicode_InternFromString("vr");
    self->value = PyUnicode_InternFromString("value");
    self->elements = PyUnicode_InternFromString("elements");
    self->character_sets = PyUnicode_InternFromString("character_sets");
    bool done = self->tag && self->vr && self->value && self->elements && self->character_sets;
    for (size_t i = 0; done && i < sizeof VRS / sizeof *VRS; i++) {
        int place = (VRS[i][0] - 'A') * LETTERS + VRS[i][1] - 'A';
        self->vrs[place] = PyUnicode_InternFromString(VRS[i]);
        done = self->vrs[place] != NULL;
    }
    return done;
}

static PyObject *new_plain(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyTypeObject *element, *set;
    if (kwargs != NULL && PyDict_Size(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "PlainElements takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &element, &PyType_Type, &set)) {
        return NULL;
    }
    /* Others have no allocator that could be asked for, or need their own __new__. */
    if (!(PyType_GetFlags(element) & PyType_GetFlags(set) & Py_TPFLAGS_HEAPTYPE)) {
        PyErr_SetString(PyExc_TypeError, "PlainElements takes classes");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PlainElements *self = (PlainElements *)allocate(type, 0);
    if (self == NULL) {
        return NULL;
    }
    Py_INCREF((PyObject *)element);
    Py_INCREF((PyObject *)set);
    self->element_type = element;
    self->set_type = set;
    self->new_element = (allocfunc)PyType_GetSlot(element, Py_tp_alloc);
    self->new_set = (allocfunc)PyType_GetSlot(set, Py_tp_alloc);
    if (!name_slots(self)) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void free_plain(PyObject *object)
{
    PlainElements *self = (PlainElements *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject *held[] = {
        self->tag, self->vr, self->value, self->elements, self->character_sets,
        (PyObject *)self->element_type, (PyObject *)self->set_type,
    };
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        Py_XDECREF(held[i]);
    }
    for (size_t i = 0; i < LETTERS * LETTERS; i++) {
        Py_XDECREF(self->vrs[i]);
    }
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef plain_methods[] = {
    {"take", (PyCFunction)(void (*)(void))take_elements, METH_FASTCALL, take_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(type_doc,
"PlainElements(element, element_set, /)\n--\n\n"
"Taker of plain elements, made of two classes: one with the slots tag, vr and value, and one with\n"
"elements and character_sets.");

static PyType_Slot plain_slots[] = {
    {Py_tp_doc, (void *)type_doc},
    {Py_tp_new, (void *)new_plain},
    {Py_tp_dealloc, (void *)free_plain},
    {Py_tp_methods, plain_methods},
    {0, NULL},
};

static PyType_Spec plain_spec = {
    "pacs_speedups._plain_elements.PlainElements", sizeof(PlainElements), 0, Py_TPFLAGS_DEFAULT, plain_slots,
};

static int fill_module(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &plain_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int failed = PyModule_AddObjectRef(module, "PlainElements", type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)fill_module},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_plain_elements", NULL, 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__plain_elements(void)
{
    return PyModuleDef_Init(&module);
}
