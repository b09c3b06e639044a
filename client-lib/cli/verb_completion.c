/* herald completion: the script that makes a shell ask `herald __complete`. */
#include "client-lib/cli/verbs.h"

#include <string.h>

#include "client-lib/cli/output.h"
#include "client-lib/cli/report.h"

/* A colon breaks words in bash, so URLs are left alone there. */
static const char bash_script[] =
    "# bash completion for herald: source <(herald completion bash)\n"
    "_herald()\n"
    "{\n"
    "    local line\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        COMPREPLY+=(\"$line\")\n"
    "    done < <(herald __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "}\n"
    "complete -o default -F _herald herald\n";

static const char zsh_script[] =
    "#compdef herald\n"
    "# zsh completion for herald: source <(herald completion zsh)\n"
    "_herald()\n"
    "{\n"
    "    local -a candidates\n"
    "    candidates=(\"${(@f)$(herald __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "    candidates=(\"${(@)candidates:#}\")\n"
    "    if (( ${#candidates} )); then\n"
    "        compadd -a candidates\n"
    "    else\n"
    "        _default\n"
    "    fi\n"
    "}\n"
    "if [ \"${funcstack[1]}\" = _herald ]; then\n"
    "    _herald \"$@\"\n"
    "else\n"
    "    compdef _herald herald\n"
    "fi\n";

int verb_completion(const struct arguments *arguments)
{
    struct output output;
    output_init(&output, arguments);
    const char *script = NULL;
    if (strcmp(arguments->words[0], "bash") == 0)
        script = bash_script;
    if (strcmp(arguments->words[0], "zsh") == 0)
        script = zsh_script;
    if (script == NULL) {
        report_say("completion knows bash and zsh, not '%s'", arguments->words[0]);
        return EXIT_USAGE;
    }
    output_write(&output, script, strlen(script));
    return output_finish(&output, EXIT_OK);
}
