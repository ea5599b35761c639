#include "web.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

// The compiler notes each file as one that this depends on, so a change of the page builds this file alone again.
static const unsigned char index_html[] = {
#embed "web/index.html"
};
static const unsigned char page_css[] = {
#embed "web/page.css"
};
static const unsigned char icon_svg[] = {
#embed "web/icon.svg"
};
static const unsigned char app_js[] = {
#embed "web/app.js"
};
static const unsigned char api_js[] = {
#embed "web/api.js"
};
static const unsigned char dom_js[] = {
#embed "web/dom.js"
};
static const unsigned char text_js[] = {
#embed "web/text.js"
};
static const unsigned char form_js[] = {
#embed "web/form.js"
};
static const unsigned char tus_js[] = {
#embed "web/tus.js"
};
static const unsigned char plan_js[] = {
#embed "web/plan.js"
};
static const unsigned char jobs_js[] = {
#embed "web/jobs.js"
};
static const unsigned char job_js[] = {
#embed "web/job.js"
};
static const unsigned char command_js[] = {
#embed "web/command.js"
};

#define FILE(name, bytes) {name, bytes, sizeof bytes}

static const struct web_file files[] = {
    FILE("index.html", index_html), FILE("page.css", page_css),     FILE("icon.svg", icon_svg),
    FILE("app.js", app_js),         FILE("api.js", api_js),         FILE("dom.js", dom_js),
    FILE("text.js", text_js),       FILE("form.js", form_js),       FILE("tus.js", tus_js),
    FILE("plan.js", plan_js),       FILE("jobs.js", jobs_js),       FILE("job.js", job_js),
    FILE("command.js", command_js),
};

const struct web_file *web_files(void) { return files; }
size_t web_file_count(void) { return sizeof files / sizeof *files; }
