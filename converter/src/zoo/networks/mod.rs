//! Architectures, one file a family: the layers of each network of the catalog that is built from weights
//! alone.
//!
//! To add one, write its layers with [`Builder`] and name it in [`architecture`].

mod alexnet;
mod cifar_resnet;
mod efficientnet;
mod enet;
mod googlenet;
mod inception_v3;
mod inception_v4;
mod mlperf_tiny;
mod mobilenet_v1;
mod mobilenet_v2;
mod mobilenet_v3;
mod nin;
mod resnet;
mod squeezenet;
mod vgg;

use super::layers::{Builder, Built};

/// Adds the layers of one network.
pub(super) type Architecture = fn(&mut Builder<'_>) -> Built;

/// The architecture of a network by its name in the catalog, if there is one.
pub(super) fn architecture(name: &str) -> Option<Architecture> {
    use resnet::Block::{Basic, Bottleneck};
    let architecture: Architecture = match name {
        "alexnet" => |net| alexnet::alexnet(net, false),
        "bn-alexnet" => |net| alexnet::alexnet(net, true),
        "vgg11" => |net| vgg::vgg(net, vgg::A, false),
        "vgg11-bn" => |net| vgg::vgg(net, vgg::A, true),
        "vgg13" => |net| vgg::vgg(net, vgg::B, false),
        "vgg13-bn" => |net| vgg::vgg(net, vgg::B, true),
        "vgg16" => |net| vgg::vgg(net, vgg::D, false),
        "vgg16-bn" => |net| vgg::vgg(net, vgg::D, true),
        "vgg19" => |net| vgg::vgg(net, vgg::E, false),
        "vgg19-bn" => |net| vgg::vgg(net, vgg::E, true),
        "googlenet" => |net| googlenet::googlenet(net),
        "resnet18" => |net| resnet::resnet(net, Basic, [2, 2, 2, 2]),
        "resnet34" => |net| resnet::resnet(net, Basic, [3, 4, 6, 3]),
        "resnet50" => |net| resnet::resnet(net, Bottleneck, [3, 4, 6, 3]),
        "resnet101" => |net| resnet::resnet(net, Bottleneck, [3, 4, 23, 3]),
        "resnet152" => |net| resnet::resnet(net, Bottleneck, [3, 8, 36, 3]),
        "inception-v3" => |net| inception_v3::inception_v3(net),
        "inception-v4" => |net| inception_v4::inception_v4(net),
        "bn-nin" => |net| nin::bn_nin(net),
        "enet" => |net| enet::enet(net),
        "squeezenet1.0" => |net| squeezenet::squeezenet(net, &squeezenet::V1_0),
        "squeezenet1.1" => |net| squeezenet::squeezenet(net, &squeezenet::V1_1),
        "mobilenet-v1" => |net| mobilenet_v1::mobilenet_v1(net),
        "mobilenet-v2" => |net| mobilenet_v2::mobilenet_v2(net),
        "mobilenet-v3-large" => |net| mobilenet_v3::large(net),
        "mobilenet-v3-small" => |net| mobilenet_v3::small(net),
        "efficientnet-lite0" => |net| efficientnet::lite(net, efficientnet::LITE0),
        "efficientnet-lite1" => |net| efficientnet::lite(net, efficientnet::LITE1),
        "efficientnet-lite2" => |net| efficientnet::lite(net, efficientnet::LITE2),
        "efficientnet-lite3" => |net| efficientnet::lite(net, efficientnet::LITE3),
        "efficientnet-lite4" => |net| efficientnet::lite(net, efficientnet::LITE4),
        "resnet20-cifar10" => |net| cifar_resnet::cifar_resnet(net, 3),
        "resnet32-cifar10" => |net| cifar_resnet::cifar_resnet(net, 5),
        "resnet44-cifar10" => |net| cifar_resnet::cifar_resnet(net, 7),
        "resnet56-cifar10" => |net| cifar_resnet::cifar_resnet(net, 9),
        "resnet110-cifar10" => |net| cifar_resnet::cifar_resnet(net, 18),
        "mlperf-tiny-resnet8" => |net| mlperf_tiny::resnet8(net),
        "mlperf-tiny-vww" => |net| mlperf_tiny::visual_wake_words(net),
        _ => return None,
    };
    Some(architecture)
}
