/* An account that is nothing but its events, and two processes that change it at the same time.
 *
 * Each reads the events, decides by the balance that they add up to, and appends the next event
 * under the condition that the account is still at the version it has seen. Where the other one was
 * faster it is refused, reads what is new, and decides again: no lock, and never below zero. Now
 * and then a snapshot is appended with the event, so that who begins need not read everything. */
#include <herald.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char exchange[] = "example.bank";
static const char entity[] = "account-7";

enum { TURNS = 100, SNAPSHOT_EVERY = 20 };

struct account {
    uint64_t version;
    long balance;
    int is_broken; /* a version was left out, or the balance went below zero */
};

/* --- the account --------------------------------------------------------------------------------
 */

/* "+5" and "-3" change the balance, a snapshot is the balance. */
static int apply(struct herald_message *event, void *context)
{
    struct account *account = context;
    char body[32];
    snprintf(body, sizeof body, "%.*s", (int)herald_message_body_bytes(event),
             (const char *)herald_message_body(event));
    long amount = strtol(body, NULL, 10);
    uint64_t version = herald_message_version(event);
    if (herald_message_is_snapshot(event))
        account->balance = amount;
    else
        account->balance += amount;
    if (account->balance < 0 || (account->version != 0 && version != account->version + 1))
        account->is_broken = 1;
    account->version = version;
    return 0;
}

/* What is new since the last time; at first from the newest snapshot on. */
static enum herald_status look(struct herald_client *client, struct account *account)
{
    const struct herald_read read = {.size = sizeof read,
                                     .exchange = exchange,
                                     .entity = entity,
                                     .from = account->version > 0 ? account->version + 1 : 0,
                                     .from_snapshot = account->version == 0,
                                     .on_event = apply,
                                     .context = account};
    enum herald_status status = herald_read(client, &read, 5000);
    return status == HERALD_ENOTFOUND ? HERALD_OK : status; /* it has no event yet */
}

/* Appends what was decided, if nothing has happened since. */
static enum herald_status change(struct herald_client *client, struct account *account, long amount)
{
    char body[32];
    char state[32];
    snprintf(body, sizeof body, "%+ld", amount);
    snprintf(state, sizeof state, "%ld", account->balance + amount);
    struct herald_event events[] = {{"account.changed", herald_text(body)},
                                    {"account.state", herald_text(state)}};
    events[1].content.snapshot = 1;
    int is_snapshot_due = account->version % SNAPSHOT_EVERY == SNAPSHOT_EVERY - 1;
    const struct herald_append append = {.size = sizeof append,
                                         .exchange = exchange,
                                         .entity = entity,
                                         .expect = HERALD_EXPECT_VERSION,
                                         .expect_version = account->version,
                                         .events = events,
                                         .event_count = is_snapshot_due ? 2 : 1};
    return herald_append(client, &append, 5000, NULL);
}

/* --- two processes that use it ------------------------------------------------------------------
 */

static int use(const char *name)
{
    struct account account = {0};
    struct herald_client *client = herald_new(NULL);
    enum herald_status status = HERALD_OK;
    int conflicts = 0;
    for (int turn = 0; turn < TURNS && status == HERALD_OK;) {
        status = look(client, &account);
        if (status != HERALD_OK)
            break;
        status = change(client, &account, account.balance >= 3 ? -3 : 5);
        if (status == HERALD_OK)
            turn++;
        if (status != HERALD_ECONFLICT)
            continue;
        conflicts++; /* the other one was faster */
        status = HERALD_OK;
    }
    if (status != HERALD_OK)
        fprintf(stderr, "%s: %s\n", name, herald_last_error(client).text);
    printf("%s made %d changes and was told %d times to look again\n", name, TURNS, conflicts);
    fflush(stdout);
    herald_close(client, 1000);
    return status != HERALD_OK || account.is_broken;
}

static int in_two_processes(void)
{
    int child_status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(use("the child"));
    int failed = child < 0 || use("the parent");
    return child < 0 || waitpid(child, &child_status, 0) != child || child_status != 0 || failed;
}

int main(void)
{
    struct account account = {0};
    struct herald_exchange_options options = herald_exchange_options_default();
    options.history = 1;
    struct herald_client *client = herald_new(NULL);
    if (herald_exchange_create(client, exchange, &options, 5000) != HERALD_OK) {
        fprintf(stderr, "%s\n", herald_last_error(client).text);
        return 1;
    }
    int failed = in_two_processes();
    failed |= look(client, &account) != HERALD_OK || account.is_broken;
    printf("version %llu, balance %ld\n", (unsigned long long)account.version, account.balance);
    herald_exchange_delete(client, exchange, HERALD_DELETE_ANYWAY, 5000);
    herald_close(client, 1000);
    return failed || account.version < UINT64_C(2) * TURNS;
}
