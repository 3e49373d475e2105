//! ListConfigResources, versions 0 and 1: what has a configuration that can be asked for or changed.
//!
//! Version 0 asks for client metrics alone, of which there are none. Loggers have no configuration here.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::config_resource::{BROKER, GROUP, TOPIC};

/// ListConfigResources.
#[derive(Debug)]
pub(crate) struct ListConfigResources;

impl Handler for ListConfigResources {
    type Request = ListConfigResourcesRequest;

    fn handle(
        call: &Call,
        request: ListConfigResourcesRequest,
    ) -> Outcome<ListConfigResourcesResponse> {
        let mut response = ListConfigResourcesResponse::default();
        let types = request.resource_types;
        if types.iter().any(|one| !KNOWN.contains(one)) {
            response.error_code = ErrorCode::UNSUPPORTED_VERSION.code();
            return Outcome::Ready(response);
        }
        // None is all of them.
        let is_wanted = |one: i8| call.version >= 1 && (types.is_empty() || types.contains(&one));
        let mut list = |name: String, resource_type| {
            let mut row = ConfigResource::default();
            row.resource_name = name.into();
            row.resource_type = resource_type;
            response.config_resources.push(row);
        };
        if is_wanted(TOPIC) {
            for topic in call.node.topics().table().iter() {
                list(topic.name.to_string(), TOPIC);
            }
        }
        if is_wanted(BROKER) {
            list(call.node.config.node_id.to_string(), BROKER);
        }
        if is_wanted(GROUP) {
            for group in call.node.catalog().group_configs.names() {
                list(group.to_string(), GROUP);
            }
        }
        Outcome::Ready(response)
    }
}

/// Topics, brokers, loggers of brokers, client metrics and groups.
const KNOWN: [i8; 5] = [TOPIC, BROKER, 8, 16, GROUP];
