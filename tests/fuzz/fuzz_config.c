/* Any bytes as a configuration file: read without harm, and what is accepted prints and reads again
 * as the same configuration. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/config.h"
#include "broker/config_option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_round_trip(const struct config *config)
{
    struct config_errors errors = {0};
    struct config again;
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *out = open_memstream(&text, &text_bytes);
    assert(out != NULL);
    config_print(config, out);
    fclose(out);
    assert(config_load_text(&again, "printed", text, text_bytes, &errors) == STATUS_OK);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        assert(config_option_is_equal(&config_options[i], config, &again));
    config_errors_deinit(&errors);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct config_errors errors = {0};
    struct config config;
    enum status status = config_load_text(&config, "fuzz", (const char *)data, bytes, &errors);
    assert((status == STATUS_OK) == (errors.count == 0));
    if (status == STATUS_OK)
        check_round_trip(&config);
    config_errors_deinit(&errors);
    return 0;
}
