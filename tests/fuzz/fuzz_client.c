/* A malicious broker: any bytes after a proper greeting, to a client that has sent, called, asked
 * serves, follows, appends and reads.
 *
 * Checked: no crash, no leak; every call ends exactly once; what was not confirmed is not told as
 * confirmed twice; the handle can be closed whatever came.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-lib/client.h"
#include "client-lib/request.h"

enum { MESSAGES = 8, CALLS = 3, INPUT_BYTES_MAX = 60000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct world {
    struct herald_client *client;
    int peer;
    unsigned outcomes;
    unsigned confirmed[MESSAGES];
    unsigned messages;
    struct herald_appended appended;
};

static void on_confirmed(struct herald_client *client, void *context, void *user)
{
    (void)client;
    (void)user;
    unsigned *count = context;
    assert(++*count == 1);
}

static void on_outcome(const struct herald_outcome *outcome, void *context)
{
    struct world *world = context;
    assert(outcome->code != NULL && outcome->text != NULL && outcome->body != NULL);
    world->outcomes++;
}

/* Looks at everything and settles in turn in every way. */
static void on_message(struct herald_message *message, void *context)
{
    struct world *world = context;
    struct herald_header header;
    size_t length;
    unsigned char sum = 0;
    for (size_t i = 0; herald_message_header_at(message, i, &header); i++)
        sum ^= (unsigned char)header.value_bytes;
    const unsigned char *body = herald_message_body(message);
    for (size_t i = 0; i < herald_message_body_bytes(message); i++)
        sum ^= body[i];
    sum ^= (unsigned char)strlen(herald_message_key(message));
    sum ^= (unsigned char)strlen(herald_message_exchange(message));
    (void)herald_message_id(message);
    (void)herald_message_correlation(message, &length);
    (void)herald_message_header(message, "a", &length);
    (void)herald_message_sequence(message);
    (void)herald_message_version(message);
    (void)herald_message_entity(message, &length);
    switch ((world->messages++ + sum) % 4) {
    case 0:
        herald_done(message);
        break;
    case 1:
        herald_result(message, "r", 1);
        break;
    case 2:
        herald_message_free(herald_message_retain(message));
        break;
    default:
        break;
    }
}

static void ask(struct herald_client *client, struct frame *frame)
{
    struct request *request = request_new(frame);
    assert(request != NULL);
    pthread_mutex_lock(&client->lock);
    request_queue(client, request);
    pthread_mutex_unlock(&client->lock);
}

/* What herald_append does without its waiting. */
static void append(struct world *world)
{
    struct outbox *outbox = &world->client->outbox;
    const struct frame_append fields = {.entity = wire_bytes_of_text("a")};
    struct request *request = request_new_logged(FRAME_APPEND);
    assert(request != NULL);
    request->appended = &world->appended;
    unsigned char *room = outbox_reserve(outbox, 100);
    assert(room != NULL);
    struct wire_writer w = wire_writer_of(room, 100);
    bool ok = frame_put_append(&w, 0, 0, &fields);
    assert(ok);
    ok = outbox_commit(outbox, wire_written(&w), ENTRY_WAITED, request);
    assert(ok);
}

/* The client's side before the broker says anything. The tags that the frames get: to serve 1, to
 * subscribe 2, the query 3, to follow 4, the read 5, the messages 6 to 13, the calls 14 to 16, the
 * append 17. */
static void prepare(struct world *world)
{
    struct herald_client *client = world->client;
    for (int i = 0; i < MESSAGES; i++) {
        struct herald_content content = herald_text("message");
        content.context = &world->confirmed[i];
        assert(herald_send(client, "q", &content) == HERALD_OK);
    }
    const struct herald_call call = {
        .size = sizeof call,
        .queue = "q",
        .timeout_ms = 1000000,
        .on_outcome = on_outcome,
        .context = world,
    };
    for (int i = 0; i < CALLS; i++) {
        struct herald_content content = herald_text("call");
        assert(herald_call_async(client, &call, &content) == HERALD_OK);
    }
    struct herald_service service = herald_service("q", on_message);
    service.context = world;
    assert(herald_serve(client, &service, 0, NULL) == HERALD_OK);
    struct herald_subscription subscription = herald_subscription("e", NULL, on_message);
    subscription.context = world;
    assert(herald_subscribe(client, &subscription, 0, NULL) == HERALD_OK);
    struct frame query = {.header.type = FRAME_QUERY, .as.query.subject = QUERY_STATS};
    ask(client, &query);
    struct herald_reading reading = herald_reading("e", NULL, on_message);
    reading.context = world;
    assert(herald_follow(client, &reading, 0, NULL) == HERALD_OK);
    struct frame read = {.header.type = FRAME_READ};
    ask(client, &read);
    append(world);
}

static void say(struct world *world, struct frame *frame)
{
    unsigned char bytes[256];
    struct wire_writer w = wire_writer_of(bytes, sizeof bytes);
    bool ok = frame_encode(&w, frame);
    assert(ok);
    ssize_t sent = send(world->peer, bytes, wire_written(&w), 0);
    assert(sent == (ssize_t)wire_written(&w));
}

static void greet(struct world *world)
{
    struct frame hello = {
        .header.type = FRAME_HELLO_OK,
        .as.hello_ok = {.version = FRAME_VERSION,
                        .frame_bytes_max = FRAME_BYTES_MIN,
                        .message_bytes_max = 1024 * 1024},
    };
    struct frame auth = {.header.type = FRAME_AUTH_OK};
    struct frame credit = {.header.type = FRAME_CREDIT, .as.credit = {1000, 1000000}};
    say(world, &hello);
    say(world, &auth);
    say(world, &credit);
}

/* The driver's part without its waiting, until the connection is given up or nothing is left. */
static void drive(struct herald_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->driving = true;
    client->driver = pthread_self();
    do {
        inbox_receive(client);
        if (client->transport.socket_fd >= 0)
            session_flush(client);
    } while (client->transport.socket_fd >= 0 && client->inbox.is_busy);
    client->driving = false;
    pthread_mutex_unlock(&client->lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct world world = {0};
    int pair[2];
    struct herald_options options = herald_options_default();
    options.url = "unix:/nonexistent";
    options.on_confirmed = on_confirmed;
    world.client = herald_new(&options);
    assert(world.client != NULL);
    int error = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    assert(error == 0);
    world.peer = pair[1];
    world.client->transport.socket_fd = pair[0];
    world.client->session.state = SESSION_HELLO;
    prepare(&world);
    greet(&world);
    drive(world.client);
    ssize_t sent = send(world.peer, data, bytes < INPUT_BYTES_MAX ? bytes : INPUT_BYTES_MAX, 0);
    assert(sent >= 0);
    drive(world.client);
    drive(world.client);
    close(world.peer);
    herald_close(world.client, 0);
    assert(world.outcomes == CALLS);
    return 0;
}
