/* Names, routing keys, patterns: the grammar at its limits, and the matcher against its meaning. */
#include "protocol/topic.h"

#include "tests/support/check_main.h"
#include "tests/support/topic_naive.h"

static struct wire_bytes of(const char *text)
{
    return wire_bytes_of_text(text);
}

/* A text of `count` words of `bytes` letters each. */
static struct wire_bytes words_of(char *room, uint32_t count, uint32_t bytes)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            room[at++] = '.';
        memset(room + at, 'a', bytes);
        at += bytes;
    }
    return wire_bytes_of(room, at);
}

/* --- names
 * ---------------------------------------------------------------------------------------- */

START_TEST(test_good_names)
{
    static const char *const names[] = {
        "a",           "Z",   "0", ".", "_", ":", "/", "-", "orders", "a/b", "../../etc/passwd",
        "A.b_c:d/e-9", "$sys"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(topic_check_name(of(names[i])) == STATUS_OK, "%s", names[i]);
    ck_assert(topic_name_is_reserved(of("$sys")));
    ck_assert(!topic_name_is_reserved(of("sys$")));
    ck_assert(!topic_name_is_reserved(of("")));
}
END_TEST

/* RELIABILITY d 22. */
START_TEST(test_bad_names)
{
    static const char *const names[] = {"",
                                        "$",
                                        "$$a",
                                        "a$",
                                        "a b",
                                        "a\tb",
                                        "a\n[err] fake",
                                        "a*",
                                        "#",
                                        "a\\b",
                                        "\xc3\xa9",
                                        "\xff",
                                        "a,b",
                                        "\x7f",
                                        "a\"b",
                                        "a%20",
                                        ("\xe2\x80\xae"
                                         "abc")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(topic_check_name(of(names[i])) == STATUS_BAD_NAME, "%s", names[i]);
    ck_assert_int_eq(topic_check_name(wire_bytes_of("a\0b", 3)), STATUS_BAD_NAME);
    ck_assert_int_eq(topic_check_name(wire_bytes_of(NULL, 0)), STATUS_BAD_NAME);
}
END_TEST

START_TEST(test_every_byte_of_a_name)
{
    static const char good[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-";
    for (int c = 0; c < 256; c++) {
        unsigned char name[2] = {'a', (unsigned char)c};
        bool is_good = c != 0 && strchr(good, c) != NULL;
        ck_assert_int_eq(topic_check_name(wire_bytes_of(name, 2)),
                         is_good ? STATUS_OK : STATUS_BAD_NAME);
    }
}
END_TEST

START_TEST(test_length_of_a_name)
{
    char name[300];
    memset(name, 'n', sizeof name);
    ck_assert_int_eq(topic_check_name(wire_bytes_of(name, 255)), STATUS_OK);
    ck_assert_int_eq(topic_check_name(wire_bytes_of(name, 256)), STATUS_BAD_NAME);
}
END_TEST

/* --- keys and patterns
 * ---------------------------------------------------------------------------- */

START_TEST(test_good_keys)
{
    static const char *const keys[] = {"a",
                                       "order.eu.placed",
                                       "a.b.c",
                                       "1.2",
                                       "x$y",
                                       "a_b.c-d/e",
                                       "\xc3\xa9t\xc3\xa9.\xe6\x97\xa5",
                                       "\xf0\x9f\x93\xaf"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        ck_assert_msg(topic_check_key(of(keys[i])) == STATUS_OK, "%s", keys[i]);
        ck_assert_int_eq(topic_check_pattern(of(keys[i])), STATUS_OK);
    }
}
END_TEST

/* RELIABILITY d 23 and 25. */
START_TEST(test_bad_keys)
{
    static const char *const keys[] = {"",
                                       ".",
                                       "a.",
                                       ".a",
                                       "a..b",
                                       "a b",
                                       "a\nb",
                                       "a\x01",
                                       "a\x7f",
                                       "\xc2\x85",
                                       "\xc2\xa0",
                                       "\xff",
                                       "a.\xc3",
                                       "\xc0\xae",
                                       "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80",
                                       ("\xe2\x80\xae"
                                        "x"),
                                       "\xe2\x80\xa8",
                                       ("\xef\xbb\xbf"
                                        "a"),
                                       ("\xd8\x9c"
                                        "a")};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        ck_assert_msg(topic_check_key(of(keys[i])) == STATUS_BAD_KEY, "key %zu", i);
        ck_assert_msg(topic_check_pattern(of(keys[i])) == STATUS_BAD_PATTERN, "key %zu", i);
    }
    static const char *const wild[] = {"*", "#", "a.*", "a.#.b", "a*", "#b"};
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++)
        ck_assert_int_eq(topic_check_key(of(wild[i])), STATUS_BAD_KEY);
    ck_assert_int_eq(topic_check_key(wire_bytes_of("a\0b", 3)), STATUS_BAD_KEY);
}
END_TEST

START_TEST(test_limits_of_keys)
{
    char room[70000];
    ck_assert_int_eq(topic_check_key(words_of(room, 32, 1)), STATUS_OK);
    ck_assert_int_eq(topic_check_key(words_of(room, 33, 1)), STATUS_BAD_KEY);
    ck_assert_int_eq(topic_check_key(words_of(room, 1, 255)), STATUS_OK);
    ck_assert_int_eq(topic_check_key(words_of(room, 1, 256)), STATUS_BAD_KEY);
    ck_assert_int_eq(topic_check_key(words_of(room, 32, 7)), STATUS_OK);
    ck_assert_int_eq(topic_check_key(words_of(room, 32, 8)), STATUS_BAD_KEY);
    memset(room, '.', sizeof room);
    ck_assert_int_eq(topic_check_key(wire_bytes_of(room, 65400)), STATUS_BAD_KEY);
    ck_assert_int_eq(topic_check_key(wire_bytes_of(room, 255)), STATUS_BAD_KEY);
    ck_assert_int_eq(topic_check_pattern(words_of(room, 32, 7)), STATUS_OK);
    ck_assert_int_eq(topic_check_pattern(words_of(room, 33, 1)), STATUS_BAD_PATTERN);
    ck_assert_int_eq(topic_check_pattern(words_of(room, 1, 256)), STATUS_BAD_PATTERN);
}
END_TEST

/* RELIABILITY d 24 and 25. */
START_TEST(test_patterns)
{
    static const char *const good[] = {"*", "#", "*.*", "#.#", "a.*.#", "#.a.#", "*.a.*.b.*"};
    static const char *const bad[] = {"a.*b", "a.#b",           "**",        "##", "a*", "#a.b",
                                      "a..b", "#.#.#",          "#.a.#.b.#", "*#", "#*", "a.",
                                      ".#",   "#.a.#.a.#.a.#.z"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(topic_check_pattern(of(good[i])) == STATUS_OK, "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(topic_check_pattern(of(bad[i])) == STATUS_BAD_PATTERN, "%s", bad[i]);
}
END_TEST

START_TEST(test_split)
{
    struct topic_words words;
    topic_split(of("order.eu.placed"), &words);
    ck_assert_uint_eq(words.count, 3);
    ck_assert(wire_bytes_equal(words.word[0], of("order")));
    ck_assert(wire_bytes_equal(words.word[1], of("eu")));
    ck_assert(wire_bytes_equal(words.word[2], of("placed")));
    char room[300];
    topic_split(words_of(room, 32, 1), &words);
    ck_assert_uint_eq(words.count, 32);
}
END_TEST

/* --- UTF-8
 * ---------------------------------------------------------------------------------------- */

static uint32_t put_point(unsigned char *at, uint32_t point)
{
    if (point < 0x80) {
        at[0] = (unsigned char)point;
        return 1;
    }
    uint32_t count = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (uint32_t i = count; i-- > 1; point >>= 6)
        at[i] = (unsigned char)(0x80 | (point & 0x3f));
    at[0] = (unsigned char)(lead[count] | point);
    return count;
}

START_TEST(test_every_code_point)
{
    for (uint32_t point = 0; point < 0x120000; point++) {
        unsigned char text[4];
        uint32_t bytes = put_point(text, point);
        bool good = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
        if (topic_is_utf8(wire_bytes_of(text, bytes)) != good)
            ck_abort_msg("%x", point);
        for (uint32_t cut = 1; cut < bytes; cut++)
            if (topic_is_utf8(wire_bytes_of(text, cut)))
                ck_abort_msg("%x cut at %u", point, cut);
    }
}
END_TEST

START_TEST(test_malformed_utf8)
{
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf5\x80\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xfe",
                                      "\xff",
                                      ("a\xc3"
                                       "b"),
                                      "\xe2\x28\xa1",
                                      "\xed\xbf\xbf"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!topic_is_utf8(of(bad[i])), "text %zu", i);
    ck_assert(topic_is_utf8(of("")));
    ck_assert(topic_is_utf8(wire_bytes_of(NULL, 0)));
}
END_TEST

/* --- the matcher
 * ---------------------------------------------------------------------------------- */

enum { TEXTS_MAX = 6000, TEXT_BYTES = 24 };

struct texts {
    uint32_t count;
    char text[TEXTS_MAX][TEXT_BYTES];
};

/* All texts of 1 to words_max words, each one letter of the alphabet. */
static void list_texts(struct texts *texts, const char *alphabet, uint32_t words_max)
{
    uint32_t letters = (uint32_t)strlen(alphabet);
    uint32_t combinations = 1;
    texts->count = 0;
    for (uint32_t words = 1; words <= words_max; words++) {
        combinations *= letters;
        for (uint32_t n = 0; n < combinations; n++) {
            char *at = texts->text[texts->count++];
            ck_assert_uint_le(texts->count, TEXTS_MAX);
            uint32_t rest = n;
            for (uint32_t i = 0; i < words; i++, rest /= letters) {
                *at++ = alphabet[rest % letters];
                *at++ = '.';
            }
            at[-1] = '\0';
        }
    }
}

static void compare_all(const struct texts *patterns, const struct texts *keys)
{
    static struct topic_words cut[TEXTS_MAX];
    for (uint32_t k = 0; k < keys->count; k++)
        topic_split(of(keys->text[k]), &cut[k]);
    uint32_t compared = 0;
    for (uint32_t p = 0; p < patterns->count; p++) {
        struct wire_bytes pattern = of(patterns->text[p]);
        struct topic_words pattern_cut;
        topic_split(pattern, &pattern_cut);
        for (uint32_t k = 0; k < keys->count; k++, compared++)
            if (topic_match(pattern, of(keys->text[k])) != topic_match_naive(&pattern_cut, &cut[k]))
                ck_abort_msg("%s on %s", patterns->text[p], keys->text[k]);
    }
    ck_assert_uint_gt(compared, 490000);
}

/* Every pattern of up to six words of a, b, * and #, on every key of up to six words of a and b,
 * patterns with three and more # among them; with the next test more than a million pairs. */
START_TEST(test_match_two_letters)
{
    static struct texts patterns;
    static struct texts keys;
    list_texts(&patterns, "ab*#", 6);
    list_texts(&keys, "ab", 6);
    compare_all(&patterns, &keys);
}
END_TEST

START_TEST(test_match_three_letters)
{
    static struct texts patterns;
    static struct texts keys;
    list_texts(&patterns, "abc#", 5);
    list_texts(&keys, "abc", 5);
    compare_all(&patterns, &keys);
}
END_TEST

START_TEST(test_match_examples)
{
    static const struct {
        const char *pattern;
        const char *key;
        bool match;
    } table[] = {
        {"order.eu.placed", "order.eu.placed", true},
        {"order.eu.placed", "order.eu", false},
        {"order.*.placed", "order.eu.placed", true},
        {"order.*", "order.eu.placed", false},
        {"order.#", "order.eu.placed", true},
        {"order.#", "order", true},
        {"#", "order", true},
        {"#.placed", "placed", true},
        {"#.placed", "order.eu.placed.again", false},
        {"*.#", "a", true},
        {"#.eu.#", "order.eu.placed", true},
        {"#.eu.#", "eu", true},
        {"#.eu.#", "order.us.placed", false},
        {"order", "orders", false},
        {"orders", "order", false},
        {"#.#", "a", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ck_assert_msg(topic_match(of(table[i].pattern), of(table[i].key)) == table[i].match,
                      "%s on %s", table[i].pattern, table[i].key);
}
END_TEST

/* RELIABILITY d 24: no pattern, not even one that is refused at binding, makes the matcher go
 * through more than words times words steps. Were it exponential, this would never end. */
START_TEST(test_match_costs_little)
{
    struct wire_bytes pattern = of("#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.z");
    char room[100];
    struct wire_bytes key = words_of(room, 32, 1);
    for (int i = 0; i < 10000; i++)
        ck_assert(!topic_match(pattern, key));
    room[key.bytes - 1] = 'z';
    ck_assert(topic_match(pattern, key));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("topic");
    TCase *grammar = tcase_create("grammar");
    tcase_add_test(grammar, test_good_names);
    tcase_add_test(grammar, test_bad_names);
    tcase_add_test(grammar, test_every_byte_of_a_name);
    tcase_add_test(grammar, test_length_of_a_name);
    tcase_add_test(grammar, test_good_keys);
    tcase_add_test(grammar, test_bad_keys);
    tcase_add_test(grammar, test_limits_of_keys);
    tcase_add_test(grammar, test_patterns);
    tcase_add_test(grammar, test_split);
    tcase_add_test(grammar, test_every_code_point);
    tcase_add_test(grammar, test_malformed_utf8);
    suite_add_tcase(suite, grammar);
    TCase *match = tcase_create("match");
    tcase_set_timeout(match, 60);
    tcase_add_test(match, test_match_two_letters);
    tcase_add_test(match, test_match_three_letters);
    tcase_add_test(match, test_match_examples);
    tcase_add_test(match, test_match_costs_little);
    suite_add_tcase(suite, match);
    return check_main(suite);
}
